# The commands: docker build -t pnp-recon . && docker run --rm -v "$PWD:/work" pnp-recon pnp-deblur a.jpg
# With --build-arg TORCH_INDEX=… , PyTorch's index of CPU builds, the image is 3 GB smaller.
FROM python:3.12-slim AS build
ARG TORCH_INDEX=
RUN python -m venv /opt/pnp && \
    /opt/pnp/bin/pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch>=2.4" torchvision
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY operators operators
COPY pnp_recon pnp_recon
COPY trained_models trained_models
COPY data/samples data/samples
COPY data/bsds500.sha256 data/bsds500.sha256
RUN /opt/pnp/bin/pip install --no-cache-dir .

FROM python:3.12-slim
COPY --from=build /opt/pnp /opt/pnp
ENV PATH=/opt/pnp/bin:$PATH
RUN useradd --create-home --uid 1000 pnp
USER pnp
WORKDIR /work
CMD ["pnp-recon", "list"]

"""
Benchmark a denoiser
====================

``pnp-bench`` compares denoisers on a folder of pictures; here it measures three on one crop. A
run that is killed goes on, and every row carries its certificate or the reason why there is none.
"""

import tempfile
from pathlib import Path

from pnp_recon.cli.bench import main
from pnp_recon.files import shipped
from pnp_recon.pictures import read_picture, write_picture

folder = Path(tempfile.mkdtemp())
(folder / "pictures").mkdir()
picture = read_picture(shipped("samples/camera.png"))
write_picture(folder / "pictures" / "camera.png", picture.pixels[..., 128:224, 200:296])

# %%
# The command ``pnp-bench run denoise --data pictures --methods euler_grey,tv,median -o out``:

out = folder / "out"
main(
    [
        "run",
        "denoise",
        "--data",
        str(folder / "pictures"),
        "--methods",
        "euler_grey,tv,median",
        "-o",
        str(out),
        "-q",
    ]
)

# %%
# ``pnp-bench report`` writes tables in Markdown, figures, and a page:

main(["report", str(out)])
print(*sorted(p.name for p in out.iterdir()))
for found in sorted(out.rglob("*.md"))[:1]:
    print(found.read_text()[:1500])

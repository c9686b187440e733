"""What is estimated from a picture: noise, clipping, motion and kernel; is a result sound?"""

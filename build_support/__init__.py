"""What setup.py needs: third-party sources, compilation of C files, build switches."""

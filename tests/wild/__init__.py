"""Programs in the manner of public code that extends, patches or inspects the package grad-cam; see ``running.py``."""

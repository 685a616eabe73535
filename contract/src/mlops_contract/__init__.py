"""Words that every service of the platform shares. Standard library only; `web` alone needs Flask."""

"""Tell people that their runs have ended: by webhook or e-mail, each as they wish."""

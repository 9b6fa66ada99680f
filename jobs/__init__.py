"""Work done outside the web process: the workers that train and the launchers that start them."""

"""DVC: data that git only points to, the graph of stages, remotes, the cache."""

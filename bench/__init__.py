"""Speed of pgstead as ratios against peers and baselines, measured in the same run; see README.md."""

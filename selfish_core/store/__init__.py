"""Inside the trial store: how a trial and a sweep lie on disk; used through `selfish_core.trial_store`."""

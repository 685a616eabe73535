"""The release desk's part of the training endpoint, a process of its own."""

import os
import threading

from training_endpoint.release.followers import Followers
from training_endpoint.settings import Settings

if __name__ == "__main__":
    followers = Followers(Settings.from_env(os.environ))
    followers.start()
    threading.Event().wait()

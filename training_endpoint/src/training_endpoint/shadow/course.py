"""What becomes of shadows: the log is answered again while there is room, and labels decide as soon as they can."""

import logging
import subprocess
import sys
from datetime import UTC, datetime

from mlops_contract.errors import PlatformError
from mlops_contract.store import FilesLost
from training_endpoint import database
from training_endpoint.data import classifiers
from training_endpoint.data.classifiers import Classifier
from training_endpoint.errors import ChampionChanged, MlflowUnavailable, NoShadow, UnknownVersion
from training_endpoint.judge.evidence import Side, Tally
from training_endpoint.release import inheritance, ledger, peers, versions
from training_endpoint.release.desk import Desk
from training_endpoint.shadow import shadows, texts
from training_endpoint.shadow.answering import ROUND_S, has_room
from training_endpoint.shadow.shadows import Shadow
from training_endpoint.settings import Settings

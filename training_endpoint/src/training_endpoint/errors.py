"""Every error of the training endpoint that a person may see. Raise with one sentence that says what to do."""

from mlops_contract.errors import PlatformError


class InvalidRequest(PlatformError):
    """The request's body is not what the route takes."""

    status = 400
    code = "invalid_request"


class WrongContentType(PlatformError):
    """The request's body is not declared as JSON."""

    status = 415
    code = "unsupported_media_type"


class InvalidOverride(PlatformError):
    """A field of the request has a wrong type or is out of its range; the message names field and range."""

    status = 422
    code = "invalid_override"


class JobNotFound(PlatformError):
    """No job has this id."""

    status = 404
    code = "no_such_job"


class QueueFull(PlatformError):
    """As many jobs wait as may."""

    status = 429
    code = "queue_full"


class JobEnded(PlatformError):
    """The job is over already, so it can neither be cancelled nor decide anything."""

    status = 409
    code = "job_ended"


class UnknownVersion(PlatformError):
    """The registered model has no such version."""

    status = 404
    code = "unknown_version"


class NoPicture(PlatformError):
    """No picture was drawn, or MLflow has it no more."""

    status = 404
    code = "no_picture"


class FilesRemoved(UnknownVersion):
    """The version's files were removed to make room; the message says when and why."""

    status = 410
    code = "files_removed"


class DatabaseUnavailable(PlatformError):
    """The training database does not answer."""

    status = 503
    code = "database_unavailable"


class BackupRuns(PlatformError):
    """A backup is being taken, so nothing may be removed now."""

    status = 409
    code = "backup_runs"


class MlflowUnavailable(PlatformError):
    """The MLflow server does not answer."""

    status = 503
    code = "mlflow_unavailable"


class NoRoom(PlatformError):
    """A disk that a job writes to is full; the message says which, and how much is missing."""

    status = 507
    code = "no_room"


# --- People ---


class LoginWanted(PlatformError):
    """Nobody is logged in, or no longer."""

    status = 401
    code = "login_wanted"


class WrongPassword(PlatformError):
    """The password is not the account's."""

    status = 401
    code = "wrong_password"


class TooManyTries(PlatformError):
    """Too many wrong passwords came from one address."""

    status = 429
    code = "too_many_tries"


class WrongToken(PlatformError):
    """A request that changes something does not come from the page that is logged in."""

    status = 403
    code = "wrong_token"


class NewLabel(PlatformError):
    """The label is none that the classifier knows, or is like one that it knows; the message says how to insist."""

    status = 422
    code = "new_label"


class BadFile(PlatformError):
    """A file of labels has rows that cannot be taken; the message tells them by their lines. Nothing has changed."""

    status = 422
    code = "bad_file"


class NoSuchItem(PlatformError):
    """The queue of texts to label has none of this id."""

    status = 404
    code = "no_such_item"


class NotYourItem(PlatformError):
    """Somebody else has the text on the screen, or has labelled it."""

    status = 409
    code = "not_your_item"


class LabelSettled(PlatformError):
    """The text has a label already, which this cannot change."""

    status = 409
    code = "label_settled"


# --- Data ---


class UnknownClassifier(PlatformError):
    """There is no classifier of this name, or it was retired."""

    status = 404
    code = "unknown_classifier"


class DataError(PlatformError):
    """The rows cannot be trained on; nothing was changed."""

    status = 422
    code = "bad_data"


class NoDataset(DataError):
    """No dataset has been imported."""

    status = 404
    code = "no_dataset"


class MissingTable(DataError):
    """A table of the dataset is gone."""

    code = "missing_table"


class MissingColumn(DataError):
    """A column of the dataset is gone or was renamed, or a setting names one that is not there."""

    code = "missing_column"


class NotReadable(DataError):
    """The role platform lacks the right to read a table."""

    code = "not_readable"


class EmptyTable(DataError):
    """A table has no usable row."""

    code = "empty_table"


class OneClass(DataError):
    """The training rows hold one class only."""

    code = "one_class"


class ImportFailed(DataError):
    """A dataset could not be read or imported."""

    code = "import_failed"


class ImportRefused(PlatformError):
    """A request names a place on the disk outside of what DATASET names."""

    status = 403
    code = "import_refused"


class ImportConflict(PlatformError):
    """Another dataset or table holds that name."""

    status = 409
    code = "import_conflict"


class ImportBusy(ImportConflict):
    """Another import is going on."""

    code = "import_busy"
    passes = True


class NotWritable(PlatformError):
    """The role platform lacks the right to write a table; the message has the GRANT."""

    status = 409
    code = "not_writable"


class RowRefused(PlatformError):
    """A table does not take a row; the message has the database's reason."""

    status = 409
    code = "row_refused"


# --- Hub ---


class HubError(PlatformError):
    """The Hugging Face hub did not give what was asked for."""

    status = 502
    code = "hub_error"


class HubUnreachable(HubError):
    """No network, or the hub does not answer."""

    status = 503
    code = "hub_unreachable"


class HubNotFound(HubError):
    """The hub has no such repository."""

    status = 404
    code = "hub_not_found"


class HubGated(HubError):
    """The repository is gated: its terms must be accepted, and a token sent."""

    status = 403
    code = "hub_gated"


class HubBadToken(HubError):
    """The hub refuses HUGGINGFACE_TOKEN."""

    status = 403
    code = "hub_bad_token"


# --- Training ---


class BaseModelNotFound(PlatformError):
    """The base model is neither embedded, nor a folder with a model, nor on the hub."""

    status = 422
    code = "no_base_model"


class UnusableBaseModel(PlatformError):
    """The base model cannot be run as a text classifier in any way in which one is served."""

    status = 422
    code = "unusable_base_model"


class OutOfMemory(PlatformError):
    """Not even the smallest batch fits into the memory; the message has advice."""

    code = "out_of_memory"


class TrainingFailed(PlatformError):
    """The training did not come to a usable model."""

    code = "training_failed"


# --- Release ---


class LedgerBusy(PlatformError):
    """Another decision has held the ledger for too long."""

    status = 503
    code = "ledger_busy"


class NotDecidedYet(PlatformError):
    """What a person asked for waits longer than he does."""

    status = 503
    code = "not_decided_yet"


class ChampionChanged(PlatformError):
    """Somebody decided since the comparison: it must be made again."""

    status = 409
    code = "champion_changed"


class NoShadow(PlatformError):
    """The version is no shadow any more."""

    status = 409
    code = "no_shadow"


class AcceptedAndRefused(PlatformError):
    """One request wants the same feedback accepted and refused."""

    status = 409
    code = "accepted_and_refused"


class NothingToDecide(PlatformError):
    """The decision asked for makes no sense as things are: nothing to roll back to, nothing pinned."""

    status = 409
    code = "nothing_to_decide"


class SwitchBusy(PlatformError):
    """Another switch is just being committed, or a replica has just come up."""

    status = 409
    code = "switch_busy"


class SwitchFailed(PlatformError):
    """The decision is recorded, but the model endpoints do not serve it yet; the message says which and why."""

    status = 502
    code = "switch_failed"

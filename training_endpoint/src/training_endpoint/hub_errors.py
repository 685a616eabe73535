"""What the exceptions of the Hugging Face hub's libraries mean for people."""

from training_endpoint.errors import HubBadToken, HubError, HubGated, HubNotFound, HubUnreachable

# By name: they come from several libraries. TransportError is what all of httpx's troubles with the network are.
UNREACHABLE = {"ConnectionError", "TransportError", "OfflineModeIsEnabled", "LocalEntryNotFoundError"}


def explain(error: BaseException, what: str, token: str) -> HubError:
    """The error of ours that says what to do about an exception of the hub's libraries, while loading `what`."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    kinds = {kind.__name__ for link in chain for kind in type(link).__mro__}
    statuses = {getattr(getattr(link, "response", None), "status_code", None) for link in chain}
    if "GatedRepoError" in kinds or "is a gated" in str(error):
        return HubGated(
            f"The {what} is gated: accept its terms on the hub, then set HUGGINGFACE_TOKEN to a token of that account."
        )
    if 401 in statuses and token:
        return HubBadToken("The hub refuses HUGGINGFACE_TOKEN: make a new one with read access, or leave it empty.")
    if kinds & {"RepositoryNotFoundError", "DatasetNotFoundError"}:
        return HubNotFound(f"The hub has no public {what}: check the name; a private one needs HUGGINGFACE_TOKEN.")
    if kinds & UNREACHABLE or any(status is not None and status >= 500 for status in statuses):
        return HubUnreachable(
            f"The hub cannot be reached for {what}: check the network and HF_ENDPOINT, "
            "or work offline with `sample`, `embedded`, or files of your own."
        )
    return HubError(f"The hub did not give {what}: {(str(error).strip() or type(error).__name__).splitlines()[0]}")

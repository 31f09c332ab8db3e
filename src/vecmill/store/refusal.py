"""What an object store says when it refuses, in one line without secrets."""

from __future__ import annotations

import re
from collections.abc import Collection

from vecmill.errors import StoreError
from vecmill.store.secrets import masked
from vecmill.store.url import bucket_part, kind_of_url

_CODE = re.compile(r"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(r"<Message>([^<\n]*)")
_STATUS = re.compile(r"status code: ([0-9]{3})")
_QUERY = re.compile(r"\?[^\s)\"']*")
_REQUEST = re.compile(r"Error performing \w+ (\w+://[^/\s]+)\S*")
_CAUSE = re.compile(r'message: "([^"]*)"|(InvalidContentType|InvalidCertificate\(\s*\w+|dns error|TimedOut)')
_CAUSE_HINTS = {
    "dns error": "no such host",
    "InvalidContentType": "it does not speak https; for plain http say secure=False",
    "TimedOut": "no answer in time",
}
_REFUSED = "PermissionDeniedError"
_HINTS = {
    _REFUSED: "the store refuses the credentials, or they lack the right",
    "UnauthenticatedError": "the store does not know the credentials, or there are none",
    "FileNotFoundError": "the store has no such bucket or object",
    "AlreadyExistsError": "is there already",
    "PreconditionError": "was changed by somebody else meanwhile",
}
# Codes whose plain name says more than the class of the error.
_CODE_HINTS = {
    "NoSuchBucket": "the store has no such bucket",
    "ContainerNotFound": "the store has no such container",
    "InvalidAccessKeyId": "the store does not know the access key",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "AuthenticationFailed": "the store refuses the credentials",
    "AuthorizationHeaderMalformed": "the region is wrong",
    "PermanentRedirect": "the region or the endpoint is wrong",
    "IllegalLocationConstraintException": "the region is wrong",
    "QuotaExceeded": "the bucket is full",
    "XMinioStorageFull": "the store is full",
    "EntityTooLarge": "the object is too large for the store",
}


_NO_CREDENTIALS = re.compile(
    r"/latest/(api/token|meta-data)|/computeMetadata/|/metadata/identity/"  # of Amazon's, Google's and Azure's machines
    r"|DefaultCredentialsError|DefaultAzureCredential failed|source: MissingAccount"
)


def lacks_credentials(error: BaseException) -> bool:
    """Whether the client has found no credentials: the last that it asks is the machine's own metadata service."""
    return _NO_CREDENTIALS.search(str(error)) is not None


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that the store has answered with, if it has."""
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def code_of(error: BaseException) -> str:
    """Return the store's own name for its refusal, or ""."""
    found = _CODE.search(str(error))
    return found[1] if found else ""


def knows_no_conditions(error: BaseException) -> bool:
    """Whether a store has refused a put because it cannot do it under a condition."""
    return (
        isinstance(error, NotImplementedError) or status_of(error) == 501 or type(error).__name__ == "NotSupportedError"
    )


def is_final(error: BaseException) -> bool:
    """Whether the same request would be refused again: rights, names, the wrong place. Not a broken condition."""
    if lacks_credentials(error):
        return True
    if code_of(error) in ("NoSuchBucket", "ContainerNotFound"):
        return True
    status = status_of(error)
    return status is not None and 400 <= status < 500 and status not in (404, 408, 409, 412, 429)


def knows_no_checksum(error: BaseException) -> bool:
    """Whether a store may have refused a put because it cannot check it."""
    return status_of(error) in (400, 501) and code_of(error) not in _CODE_HINTS


def refusal(error: BaseException, path: str, secrets: Collection[str] = ()) -> StoreError:
    """Return the StoreError for an error of the store client.

    To be raised ``from None``: the client's own text is long, and may hold a signed URL.
    """
    if isinstance(error, StoreError):
        return error
    if not (type(error).__module__.startswith("obstore") or isinstance(error, OSError | NotImplementedError)):
        raise error  # no word of a store
    if lacks_credentials(error) and (kind := kind_of_url(path)) is not None:
        return StoreError(f"no credentials were found; {kind.wanted}", path=bucket_part(path))
    reason = _reason(error)
    return StoreError(masked(reason, secrets), path=path, errno=getattr(error, "errno", None))


def _reason(error: BaseException) -> str:
    """Return what a store or its client says, in one line."""
    code, status = code_of(error), status_of(error)
    hint = _CODE_HINTS.get(code) or _HINTS.get(type(error).__name__) or (_HINTS[_REFUSED] if status == 403 else None)
    if code or status:
        said = _MESSAGE.search(str(error))
        words = " ".join(str(one) for one in (status, code) if one)
        told = f"{words}: {said[1].strip()}" if said and said[1].strip() else words
        return f"{hint} ({told})" if hint else f"the store answers {told}"
    if found := _REQUEST.search(str(error)):
        causes = [one[1] or one[2] for one in _CAUSE.finditer(str(error))]
        cause = _CAUSE_HINTS.get(causes[-1], causes[-1]) if causes else "the connection was lost"
        return f"{hint or 'no answer'} from {found[1]}: {' '.join(cause.split())}"
    plain = _QUERY.sub("", str(error).partition("\n")[0]) or type(error).__name__
    return f"{hint} ({plain})" if hint else plain

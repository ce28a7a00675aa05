"""One call of a query service: budget, signature, request, answer, and again when that can help.

Used by ``client`` for EC2 and by ``_providers`` for STS.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from xml.etree.ElementTree import Element

from vpc_cni.ec2._http import HttpClient, Request
from vpc_cni.ec2._query import Parameter, encode_query
from vpc_cni.ec2._signing import CONTENT_TYPE, sign_query
from vpc_cni.ec2._xml import malformed, parse_answer, parse_error
from vpc_cni.ec2.budget import Budget, CallKind
from vpc_cni.ec2.credentials import Credentials, CredentialSource
from vpc_cni.ec2.endpoints import Endpoint
from vpc_cni.ec2.failures import MALFORMED, NO_CODE, NO_CREDENTIALS, OWN_BUDGET, STALE_CREDENTIALS_CODES
from vpc_cni.ec2.observer import OK, CallObserver
from vpc_cni.ec2.retry import Repeat, RetryPolicy, is_repeatable, next_delay
from vpc_cni.ec2.timing import Timing
from vpc_cni.errors import CloudError, ThrottledError, VpcCniError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Operation:
    """What the loop must know about an API operation.

    ``settling`` are codes that may come while EC2's reads lag behind its writes, see ``retry.is_repeatable``.
    """

    name: str
    kind: CallKind
    repeat: Repeat
    settling: frozenset[str] = frozenset()


class QueryService:
    """Calls operations of one endpoint. Thread safe; blocks the calling thread.

    Args:
        credentials: None for operations that are not signed.
        budget: None for services with no rate of ours to keep.
        call_seconds: for a whole call with its waits and retries.
    """

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        api_version: str,
        http: HttpClient,
        timing: Timing,
        observer: CallObserver,
        credentials: CredentialSource | None = None,
        budget: Budget | None = None,
        policy: RetryPolicy | None = None,
        call_seconds: float = 60.0,
    ) -> None:
        self._endpoint = endpoint
        self._api_version = api_version
        self._http = http
        self._timing = timing
        self._observer = observer
        self._credentials = credentials
        self._budget = budget
        self._policy = policy or RetryPolicy()
        self._call_seconds = call_seconds

    def call(self, operation: Operation, parameters: Mapping[str, Parameter], read: Callable[[Element], T]) -> T:
        """Perform a call and return what ``read`` makes of its answer.

        Args:
            read: takes the root element; a ValueError from it counts as a malformed answer.

        Raises:
            CloudError: the last failure, when trying again is not allowed, cannot help or would pass the deadline.
        """
        body = encode_query(operation.name, self._api_version, parameters)
        deadline = self._timing.now() + self._call_seconds
        attempt, renewed = 1, False
        while True:
            try:
                return self._attempt(operation, body, read, deadline)
            except CloudError as err:
                if err.code in STALE_CREDENTIALS_CODES and self._credentials is not None and not renewed:
                    renewed = True
                    continue
                delay = self._delay(operation, err, attempt, deadline)
                if delay is None or not self._timing.pause(delay):
                    raise
                attempt += 1

    def _delay(self, operation: Operation, err: CloudError, attempt: int, deadline: float) -> float | None:
        if not is_repeatable(err, operation.repeat, operation.settling):
            return None
        remaining = deadline - self._timing.now()
        return next_delay(self._policy, err, attempt=attempt, chance=self._timing.chance(), remaining_seconds=remaining)

    def _attempt(self, operation: Operation, body: bytes, read: Callable[[Element], T], deadline: float) -> T:
        credentials = self._current_credentials(operation)
        try:
            if self._budget is not None:
                self._budget.acquire(operation.kind, operation.name, deadline)
            return self._exchange(operation, body, credentials, read, deadline)
        except ThrottledError as err:
            self._observer.on_throttle(operation.name)
            if self._budget is not None and err.code != OWN_BUDGET:
                self._budget.throttled(operation.kind)
            raise
        except CloudError as err:
            if self._credentials is not None and credentials is not None and err.code in STALE_CREDENTIALS_CODES:
                self._credentials.reject(credentials)
            raise

    def _current_credentials(self, operation: Operation) -> Credentials | None:
        if self._credentials is None:
            return None
        try:
            return self._credentials.current()
        except VpcCniError as err:
            # Not passed on as it is: a lost answer of STS is not a lost answer of this operation.
            raise CloudError(
                f"{operation.name} not sent: no credentials: {err.message}",
                operation=operation.name,
                code=NO_CREDENTIALS,
                hint=err.hint,
            ) from err

    def _exchange(
        self,
        operation: Operation,
        body: bytes,
        credentials: Credentials | None,
        read: Callable[[Element], T],
        deadline: float,
    ) -> T:
        url = self._endpoint.url + "/"
        request = Request(operation.name, "POST", url, self._headers(url, body, credentials), body)
        started = self._timing.now()
        outcome = OK
        try:
            answer = self._http.send(request, deadline)
            if answer.status != 200:
                raise parse_error(operation.name, self._endpoint.service, answer.status, answer.body)
            return read(parse_answer(operation.name, answer.body))
        except CloudError as err:
            outcome = err.code or NO_CODE
            raise
        except ValueError as err:
            outcome = MALFORMED
            raise malformed(operation.name, str(err)) from err
        finally:
            self._observer.on_call(operation.name, self._timing.now() - started, outcome)

    def _headers(self, url: str, body: bytes, credentials: Credentials | None) -> Mapping[str, str]:
        if credentials is None:
            return {"Content-Type": CONTENT_TYPE}
        return sign_query(
            url=url,
            body=body,
            service=self._endpoint.service,
            region=self._endpoint.region,
            credentials=credentials,
            unix_seconds=self._timing.wall_now(),
        )

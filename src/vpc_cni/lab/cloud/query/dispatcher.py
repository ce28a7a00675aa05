"""From an HTTP request to an operation and back: identity, budgets, denials, faults, idempotency, in EC2's order.

Theory: a call is *admitted* (known operation, identity, budget), waits its latency, is *performed*, may wait again, and
is answered. Admission and performance are plain functions; whoever serves them does the waiting, so that a slow call
holds nobody up. A fault may fail a call before or after its effect, or lose the answer.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from urllib.parse import parse_qsl

from vpc_cni.lab.cloud import errors
from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.errors import CloudApiError
from vpc_cni.lab.cloud.identity.roles import Credentials
from vpc_cni.lab.cloud.identity.signature import authenticate
from vpc_cni.lab.cloud.query.budget import Budget
from vpc_cni.lab.cloud.query.calls import CallRecord
from vpc_cni.lab.cloud.query.operation import Call, Operation
from vpc_cni.lab.cloud.query.parameters import Parameters, parse_parameters
from vpc_cni.lab.cloud.query.request import HttpReply, HttpRequest
from vpc_cni.lab.cloud.query.xml import Tree
from vpc_cni.sigv4 import Refusal, RefusedError

# Parameters of every call.
COMMON_PARAMETERS = frozenset({"Action", "Version", "DryRun"})
# Who a call that needs no signature is.
ANONYMOUS = Credentials("", "", "", 0.0, None, "anonymous", "")


@dataclass(frozen=True, slots=True)
class Service:
    """One query API.

    Args:
        name: as in credential scopes and action names (``ec2``).
        budgeted: its calls use the account's EC2 budgets.
        denied: makes the error for a denial, of the caller's ARN, the action and an opaque text.
    """

    name: str
    version: str
    operations: Mapping[str, Operation]
    render_answer: Callable[[str, Tree, str], bytes]
    render_error: Callable[[CloudApiError, str], bytes]
    refusals: Mapping[Refusal, Callable[[], CloudApiError]]
    denied: Callable[[str, str, str], CloudApiError]
    budgeted: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that may go on, and how long it takes before it has its effect."""

    operation: Operation
    parameters: Parameters
    caller: Credentials
    at: float
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to answer after ``delay_seconds``; ``lost`` means to close the connection without it."""

    reply: HttpReply
    delay_seconds: float = 0.0
    lost: bool = False


@dataclass(slots=True)
class Dispatcher:
    """Serves one ``Service`` from the cloud's state."""

    cloud: Cloud
    service: Service
    _reads: Budget = field(default_factory=Budget)
    _writes: Budget = field(default_factory=Budget)
    _answers: dict[tuple[str, str], tuple[str, Tree]] = field(default_factory=dict)

    def admit(self, request: HttpRequest) -> Admission | HttpReply:
        """Check identity, budget and form; returns the error's reply when the call goes no further."""
        parameters = Parameters({})
        caller = ANONYMOUS
        try:
            parameters = parse_parameters(_form(request))
            operation = self._operation(parameters)
            caller = ANONYMOUS if operation.anonymous else self._authenticate(request)
            return self._admit(operation, parameters, caller)
        except CloudApiError as error:
            return self._error_reply(error, parameters.text("Action"), caller, self.cloud.now())

    def perform(self, admission: Admission) -> Outcome:
        """Let the call have its effect, unless a fault is in the way."""
        name = admission.operation.name
        faults = self.cloud.faults
        try:
            if error := faults.take_error(name, after_effect=False):
                raise error
            if admission.parameters.flag("DryRun"):
                raise errors.dry_run()
            tree = self._run_once(admission)
            if error := faults.take_error(name, after_effect=True):
                raise error
        except CloudApiError as error:
            reply = self._error_reply(error, name, admission.caller, admission.at)
        else:
            body = self.service.render_answer(name, tree, self.cloud.ids.request_id())
            reply = HttpReply(200, body, "text/xml;charset=UTF-8")
            self._note(name, admission.caller, "", admission.at)
        return Outcome(reply, faults.delay_seconds(name, after_effect=True), faults.take_lost_answer(name))

    def _admit(self, operation: Operation, parameters: Parameters, caller: Credentials) -> Admission:
        now = self.cloud.now()
        self._spend(operation, now)
        self._check_permission(operation, caller)
        for name in parameters.names():
            if name not in operation.parameters and name not in COMMON_PARAMETERS:
                raise errors.unknown_parameter(name)
        return Admission(operation, parameters, caller, now, self._delay(operation.name))

    def _operation(self, parameters: Parameters) -> Operation:
        name = parameters.required("Action")
        found = self.service.operations.get(name)
        if found is None:
            raise errors.invalid_action(name)
        return found

    def _authenticate(self, request: HttpRequest) -> Credentials:
        settings = self.cloud.settings
        try:
            return authenticate(
                request,
                self.cloud.identities,
                service=self.service.name,
                region=settings.region,
                now=self.cloud.clock(),
                verify=settings.verify_signatures,
            )
        except RefusedError as refused:
            raise self.service.refusals[refused.reason]() from None

    def _spend(self, operation: Operation, now: float) -> None:
        if not self.service.budgeted:
            return
        settings, faults = self.cloud.settings, self.cloud.faults
        if operation.mutates:
            allowed = self._writes.take(faults.write_bucket(settings.write_bucket), now)
        else:
            allowed = self._reads.take(faults.read_bucket(settings.read_bucket), now)
        if not allowed:
            raise errors.request_limit_exceeded()

    def _check_permission(self, operation: Operation, caller: Credentials) -> None:
        action = f"{self.service.name}:{operation.name}"
        if self.cloud.faults.is_denied(action, caller.role_name):
            arn = self.cloud.identities.arn_of(caller)
            raise self.service.denied(arn, action, _opaque(arn, action))

    def _delay(self, operation: str) -> float:
        """Return the latency of the settings (the longest pattern that fits) and of faults together."""
        latencies = self.cloud.settings.latency_seconds
        fitting = [pattern for pattern in latencies if fnmatchcase(operation, pattern)]
        base = latencies[max(fitting, key=len)] if fitting else 0.0
        return base + self.cloud.faults.delay_seconds(operation, after_effect=False)

    def _run_once(self, admission: Admission) -> Tree:
        """Run the operation; a repeated ClientToken gets the first answer again."""
        token = admission.parameters.text("ClientToken")
        if not token:
            return self._run(admission)
        key = (admission.operation.name, token)
        digest = admission.parameters.digest()
        if key in self._answers:
            before, tree = self._answers[key]
            if before != digest:
                raise errors.idempotent_mismatch()
            return tree
        tree = self._run(admission)
        self._answers[key] = (digest, tree)
        return tree

    def _run(self, admission: Admission) -> Tree:
        moment = self.cloud.now() - self.cloud.settings.describe_lag_seconds
        return admission.operation.run(Call(self.cloud, admission.parameters, moment, admission.caller))

    def _error_reply(self, error: CloudApiError, name: str, caller: Credentials, at: float) -> HttpReply:
        self._note(name, caller, error.code, at)
        body = self.service.render_error(error, self.cloud.ids.request_id())
        return HttpReply(error.status, body, "text/xml;charset=UTF-8")

    def _note(self, name: str, caller: Credentials, code: str, at: float) -> None:
        self.cloud.calls.note(CallRecord(at, self.service.name, name, caller.role_name, code))


def action_version(request: HttpRequest) -> str:
    """Return the API version that a request names: it tells which service a shared endpoint is asked for. Pure."""
    return next((value for name, value in _form(request) if name == "Version"), "")


def _form(request: HttpRequest) -> list[tuple[str, str]]:
    text = request.query if request.method == "GET" else request.body.decode("utf-8", "replace")
    return parse_qsl(text, keep_blank_values=True)


def _opaque(arn: str, action: str) -> str:
    """Return what looks like an encoded authorization message; it holds the caller and the action."""
    message = json.dumps({"allowed": False, "context": {"principal": arn, "action": action}}).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(message).digest() + message).decode().rstrip("=")

"""A real API server on loopback: etcd and kube-apiserver, RBAC on, audit log on."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import ssl
import tempfile
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx

from rig import audit, build, kubeconfig
from rig.process import Child, RigError, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

READY_TIMEOUT = 60.0  # seconds; 4 on an idle machine
ATTEMPTS = 3

# A P-256 private key (RFC 5915) is these bytes around any 32 random ones: service account tokens need no tool to make a key.
EC_KEY_HEAD = bytes.fromhex("303102010104" + "20")
EC_KEY_TAIL = bytes.fromhex("a00a06082a8648ce3d030107")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a bearer token. In no group, RBAC lets nobody do anything until bindings say so."""

    name: str
    groups: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)


class ControlPlane:
    """An API server with a data directory of its own. Use `start()`, then `stop()`, or a `with` block.

    Nothing else of a cluster runs: no controller deletes by ownerReference, makes default ServiceAccounts or ends namespaces.
    KUBEBUILDER_ASSETS names a directory whose `etcd` and `kube-apiserver` run instead of the binary built here.
    """

    def __init__(self, directory: Path, users: Sequence[User] = (), flags: Sequence[str] = ()) -> None:
        self.directory = directory
        self.admin = User("admin", ("system:masters",))
        self.users = {user.name: user for user in (self.admin, *users)}
        self.kubeconfig = directory / "admin.kubeconfig"
        self._flags = tuple(flags)
        self._temporary = False
        self._port = self._etcd_port = 0
        self._children: list[Child] = []
        self._audit_log = directory / "audit.log"
        self._certificates = directory / "certificates"

    @classmethod
    def start(cls, directory: Path | None = None, users: Sequence[User] = (), flags: Sequence[str] = ()) -> Self:
        """Start one and wait until it is ready, some 4 s.

        Args:
            directory: where data, logs and kubeconfigs go; without one, a temporary directory that `stop()` removes.
            users: who else than the admin may come with a token.
            flags: further flags of kube-apiserver.

        Raises:
            RigError: it can't be built or did not start; the end of its log is in the message.
        """
        home = directory or Path(tempfile.mkdtemp(prefix="isvcwatch-controlplane-"))
        this = cls(home, users, flags)
        this._temporary = directory is None
        atexit.register(this.stop)
        try:
            this._prepare()
            this._launch_somewhere()
        except BaseException:
            this.stop()
            raise
        return this

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    @property
    def authority(self) -> Path:
        """The authority that its certificate is signed by."""
        return self._ca()

    @property
    def pid(self) -> int:
        """Of the process that serves the API."""
        return self._children[-1].pid

    @property
    def log(self) -> Path:
        return self._children[-1].log

    def kubeconfig_for(self, who: User | str) -> Path:
        """A kubeconfig for a user of `users`, or for any token, such as a ServiceAccount's from `Cluster.create_token`."""
        token = who.token if isinstance(who, User) else who
        return kubeconfig.with_token(self.kubeconfig, token, self.directory / f"{secrets.token_hex(4)}.kubeconfig")

    def audit(self, since: datetime | None = None, user: str | None = None) -> list[audit.AuditEntry]:
        """Requests that have been answered, or are open watches, oldest first.

        Args:
            since: an aware time; only what came then or later.
            user: only this user's, such as `admin` or `system:serviceaccount:NAMESPACE:NAME`.
        """
        return [
            entry
            for entry in audit.read(self._audit_log)
            if (since is None or entry.time >= since) and (user is None or entry.user == user)
        ]

    def stop(self) -> None:
        """End it, and remove its directory if that was a temporary one."""
        atexit.unregister(self.stop)
        for child in reversed(self._children):
            child.stop(grace=2)
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self) -> None:
        """End it as a power cut would; connections break at once. `restart()` brings it back."""
        for child in reversed(self._children):
            child.kill()

    def restart(self) -> None:
        """The same server again: same data, address, certificates and tokens."""
        self.kill()
        self._launch()

    def pause(self) -> None:
        """Connections stay open and nothing answers, as when packets are lost."""
        for child in self._children:
            child.pause()

    def resume(self) -> None:
        for child in self._children:
            child.resume()

    def _prepare(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "audit-policy.yaml").write_text(audit.POLICY)
        rows = (f'{user.token},{user.name},{user.name},"{",".join(user.groups)}"' for user in self.users.values())
        (self.directory / "tokens.csv").write_text("\n".join(rows) + "\n")
        key = b64encode(EC_KEY_HEAD + secrets.token_bytes(32) + EC_KEY_TAIL).decode()
        lines = "\n".join(key[at : at + 64] for at in range(0, len(key), 64))
        (self.directory / "service-accounts.key").write_text(f"-----BEGIN EC PRIVATE KEY-----\n{lines}\n-----END EC PRIVATE KEY-----\n")

    def _launch_somewhere(self) -> None:
        """Launch on free ports, on others if someone took them meanwhile."""
        for attempt in range(ATTEMPTS):
            self._port, self._etcd_port = free_port(), free_port()
            try:
                self._launch()
            except RigError as error:
                if attempt == ATTEMPTS - 1 or "address already in use" not in str(error):
                    raise
            else:
                return

    def _launch(self) -> None:
        self._children = list(self._commands())
        try:
            self._children[-1].wait_ready(self._ready, READY_TIMEOUT)
        except RigError:
            self.kill()
            raise
        kubeconfig.write(self.kubeconfig, self.url, self._ca().read_bytes(), self.admin.token)

    def _commands(self) -> list[Child]:
        log = self.directory / "controlplane.log"
        if assets := os.environ.get("KUBEBUILDER_ASSETS"):
            etcd = Child([Path(assets) / "etcd", *self._etcd_flags()], self.directory / "etcd.log")
            return [etcd, Child([Path(assets) / "kube-apiserver", *self._apiserver_flags()], log)]
        env = {"ETCD_DIR": str(self.directory / "etcd"), "ETCD_PORT": str(self._etcd_port)}
        return [Child([build.control_plane(), *self._apiserver_flags()], log, env)]

    def _etcd_flags(self) -> list[str]:
        url = f"http://127.0.0.1:{self._etcd_port}"
        return [
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            "--listen-peer-urls=http://127.0.0.1:0",
            "--unsafe-no-fsync",
            "--log-level=error",
        ]

    def _apiserver_flags(self) -> list[str]:
        key = self.directory / "service-accounts.key"
        return [
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            f"--secure-port={self._port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--cert-dir={self._certificates}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-signing-key-file={key}",
            f"--service-account-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--token-auth-file={self.directory / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--allow-privileged",
            "--disable-admission-plugins=ServiceAccount",  # its controller, which makes `default`, does not run
            f"--audit-policy-file={self.directory / 'audit-policy.yaml'}",
            f"--audit-log-path={self._audit_log}",
            *self._flags,
        ]

    def _ca(self) -> Path:
        """The serving certificate and the authority that kube-apiserver made up for it, in one file."""
        return self._certificates / "apiserver.crt"

    def _ready(self) -> bool:
        for child in self._children:
            child.check()
        if not self._ca().is_file():
            return False
        try:
            tls = ssl.create_default_context(cafile=self._ca())
            headers = {"Authorization": f"Bearer {self.admin.token}"}
            return httpx.get(f"{self.url}/readyz", headers=headers, verify=tls, timeout=2, trust_env=False).is_success
        except (httpx.TransportError, ssl.SSLError):
            return False

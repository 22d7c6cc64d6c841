"""What the SDK programs share: where they call, what they say, how they tell what came of it.

The environment holds
  VEILWIRE_SDK_CALLS  a JSON list of calls: `name`, `url` (scheme, host and port), `text` (what to say)
  VEILWIRE_SDK_TOKEN  the bearer token of an allowed caller
  SSL_CERT_FILE       the authority that signed Envoy's certificate

A program prints one JSON object, the name of each call with what came of it, and ends with 0. An SDK that
raises ends it with a traceback.
"""

import dataclasses
import json
import os
import sys


@dataclasses.dataclass(frozen=True)
class Call:
    """One conversation with one server."""

    name: str
    url: str
    text: str
    token: str

    @property
    def headers(self):
        """Headers that name the call to the scripted upstream."""
        return {"x-call": self.name}

    @property
    def authorization(self):
        """The same, with the token; for SDKs that bring a credential of another kind or none."""
        return {**self.headers, "authorization": f"Bearer {self.token}"}


def play(conversation):
    """Holds `conversation(call)`, which returns what is worth comparing, for every call."""
    token = os.environ["VEILWIRE_SDK_TOKEN"]
    calls = [Call(token=token, **call) for call in json.loads(os.environ["VEILWIRE_SDK_CALLS"])]
    json.dump({call.name: conversation(call) for call in calls}, sys.stdout)


def certificates():
    """File of the authority to trust, for SDKs that do not look into the environment."""
    return os.environ["SSL_CERT_FILE"]

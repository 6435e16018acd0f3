"""Shapes of what an instance can be given where its backend makes machines: keys, networks, volumes."""

import base64
from typing import Annotated

import msgspec
from cryptography import exceptions
from cryptography.hazmat.primitives import serialization

from apisvc.schemas import base

#: Bytes that user data may have when it is in base64, as clouds count it.
MAX_USER_DATA = 65535

_LINE = r"^[^\x00-\x1f\x7f]*$(?!\n)"
_TEXT = r"^[^\x00]*$"
base.EXPLAINED[_LINE] = "text on one line, without control characters"
base.EXPLAINED[_TEXT] = "a text without NUL"

_Named = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=_LINE)]

SshKey = Annotated[
    str,
    msgspec.Meta(
        description="A public SSH key, as a line of `authorized_keys`, for the first user of the machine; "
        "empty: none.",
        max_length=16384,
        pattern=_LINE,
        examples=[
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINpG0wGJUHnPrG6QTVp1ARaR7SxvS7SQVL80BkXSq4s2 ann@example.org"
        ],
    ),
]
UserData = Annotated[
    str,
    msgspec.Meta(
        description=f"What the machine reads at its first start (cloud-init); at most {MAX_USER_DATA} bytes in "
        "base64. It is kept encrypted and never shown again. Empty: nothing.",
        max_length=MAX_USER_DATA,
        pattern=_TEXT,
        examples=["#cloud-config\npackages: [nginx]\n"],
    ),
]
Networks = Annotated[
    tuple[_Named, ...],
    msgspec.Meta(
        description="Names or ids of the backend's networks; empty: what the backend gives.",
        max_length=16,
        examples=[["internal"]],
    ),
]
SecurityGroups = Annotated[
    tuple[_Named, ...],
    msgspec.Meta(
        description="Names or ids of the backend's security groups; empty: its default.",
        max_length=32,
        examples=[["web"]],
    ),
]
PublicAddress = Annotated[
    bool, msgspec.Meta(description="Whether it shall be reached from outside by an address of its own.")
]
_Size = Annotated[int, msgspec.Meta(ge=1, le=65536)]
Volumes = Annotated[
    tuple[_Size, ...],
    msgspec.Meta(
        description="Sizes in GiB of volumes that are made with it, attached to it, and gone with it. They count "
        "for `disk_gb` of the quota, and cannot be changed later.",
        max_length=16,
        examples=[[10]],
    ),
]


def check_ssh_key(text: str) -> None:
    """ValueError when ``text`` is no public SSH key."""
    try:
        serialization.load_ssh_public_key(text.strip().encode())
    except (ValueError, exceptions.UnsupportedAlgorithm):
        raise ValueError(
            "ssh_key is not a public SSH key; expected the line of a .pub file: ssh-ed25519 AAAA... comment"
        ) from None


def check_user_data(text: str) -> None:
    """ValueError when ``text`` is more than a machine can be given."""
    size = len(base64.b64encode(text.encode()))
    if size > MAX_USER_DATA:
        raise ValueError(f"user_data has {size} bytes in base64; at most {MAX_USER_DATA}")

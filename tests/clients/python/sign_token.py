"""Signs a tenant token; prints one for the tenant it is given, for tests."""

# docs: begin
import hashlib
import hmac
import os
import time
from typing import Any


def tenant_token(tenant: Any, seconds: int = 60) -> str:
    content = f"{tenant}.{int(time.time()) + seconds}"
    key = os.environ["TENANT_TOKEN_KEY"].encode()
    return f"{content}.{hmac.new(key, content.encode(), hashlib.sha256).hexdigest()}"


# docs: end


if __name__ == "__main__":
    import sys

    print(tenant_token(sys.argv[1]))

"A server in a process of its own, as `test_serving` starts it: `python -m tests.deploy.serving MODEL`"
import sys
import time
from pathlib import Path

from course_lib.deploy import running, serve

if __name__ == "__main__":
    with running(serve(Path(sys.argv[1]))) as address:
        print(address, flush=True)
        sys.stdin.read()  # until whoever started it closes its end
        time.sleep(0.1)

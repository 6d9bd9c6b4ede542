"""Shows the traces of a process as Jaeger has them: `trace.py SERVICE UUID`."""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

JAEGER = "http://127.0.0.1:16686"


def main(service: str, process_uuid: str, jaeger: str = JAEGER) -> int:
    """Prints a line for each span; 1 if there is none, 69 if Jaeger does not answer."""
    tags = json.dumps({"pmstream.process_uuid": process_uuid})
    query = urllib.parse.urlencode({"service": service, "tags": tags, "limit": 20})
    try:
        with urllib.request.urlopen(f"{jaeger}/api/traces?{query}", timeout=10) as answer:
            traces = json.load(answer)["data"]
    except (urllib.error.URLError, OSError) as error:
        print(f"Jaeger does not answer on {jaeger} ({error}): run `just up`", file=sys.stderr)
        return 69
    if not traces:
        print(f"no trace of {process_uuid} in service {service}", file=sys.stderr)
        return 1
    for trace in traces:
        print(f"{jaeger}/trace/{trace['traceID']}")
        for span in sorted(trace["spans"], key=lambda each: int(each["startTime"])):
            print(_line(span, trace))
    return 0


def _line(span: dict[str, Any], trace: dict[str, Any]) -> str:
    began = min(int(each["startTime"]) for each in trace["spans"])
    name = trace["processes"][span["processID"]]["serviceName"]
    after = (int(span["startTime"]) - began) / 1000
    took = int(span["duration"]) / 1000
    return f"  {after:9.1f} ms  {took:8.1f} ms  {name}: {span['operationName']}"


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: trace.py SERVICE UUID [JAEGER]")
    sys.exit(main(*sys.argv[1:]))

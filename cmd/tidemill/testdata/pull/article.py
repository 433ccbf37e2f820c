"""The programs of an article about the queue API, as its readers would have them.

They publish orders, handle webhooks, publish again with a delay what failed, define a
queue with a dead letter queue, prolong a message's time, check signatures and read
metrics. The article's use two libraries for HTTP; these do the same with what Python
comes with. Whatever they rely on (status 200 exactly, message_id, the bare message as the
webhook's body, a signature in plain hex) is the contract.
"""

import hashlib
import hmac
import json
import os
import urllib.error
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

QSTASH_TOKEN = os.environ["QSTASH_TOKEN"]
BASE_URL = os.environ["TIDEMILL_TEST_URL"] + "/v1"
MAX_RETRIES = 5


def call(method, path, body=None):
    """Makes one request and returns its status and its JSON."""
    request = urllib.request.Request(
        BASE_URL + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {QSTASH_TOKEN}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def succeed(method, path, body=None):
    """Is call for who expects a success: it returns the JSON."""
    status, answer = call(method, path, body)
    if not 200 <= status < 300:
        raise RuntimeError(f"{method} {path}: {status} {answer}")
    return answer


# The producer. Only a 200 counts as published, for repeats as well.


def publish_to_qstash(queue, payload, delay=0, key=None):
    status, answer = call("POST", "/publish", {
        "queue": queue,
        "message": payload,
        "delay_seconds": delay,
        "idempotency_key": key or str(uuid.uuid4()),
    })
    if status != 200:
        raise RuntimeError(f"failed to enqueue: {status} {answer}")
    return answer["message_id"]


def create_order(order, key=None):
    message_id = publish_to_qstash("order-events", {"order_id": order["id"], "type": "order_created"}, key=key)
    return {"status": "accepted", "message_id": message_id}


# The retry helper: the attempt is in the payload, and in the key, so that each retry is a
# message of its own.


def enqueue_with_backoff(queue, payload, attempt=1):
    return succeed("POST", "/publish", {
        "queue": queue,
        "message": payload,
        "delay_seconds": min(2**attempt, 300),
        "idempotency_key": f"{payload['id']}-retry-{attempt}",
    })["message_id"]


def handle_payment_event(payload, process_payment):
    """The consumer that uses it; it returns the status to answer."""
    attempt = payload.get("attempt", 1)
    try:
        process_payment(payload)
    except RuntimeError:
        if attempt > MAX_RETRIES:
            return 500
        enqueue_with_backoff("payment-events", {**payload, "attempt": attempt + 1}, attempt)
        return 202
    return 200


# The rest: a queue with a dead letter queue, more time, signatures, metrics.


def create_queue(**fields):
    return succeed("POST", "/queues", fields)


def extend_visibility(message_id, additional_seconds):
    return succeed("POST", f"/messages/{message_id}/extend", {"visibility_seconds": additional_seconds})


def verify_signature(headers, body, secret):
    signature = headers.get("QStash-Signature")
    if not signature:
        return False
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature)


def fetch_metrics():
    return succeed("GET", "/metrics")


# A consumer that pulls.


def receive(queue, **options):
    return succeed("POST", f"/queues/{queue}/receive", options)["messages"]


def ack(message):
    return succeed("POST", f"/messages/{message['message_id']}/ack", {"lease_id": message["lease_id"]})


def nack(message, delay=0):
    body = {"lease_id": message["lease_id"], "delay_seconds": delay}
    return succeed("POST", f"/messages/{message['message_id']}/release", body)


class Webhook:
    """A server that hands what is posted to it to handle(headers, body), which returns
    the status to answer."""

    def __init__(self, handle):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(handle(self.headers, body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def url(self, queue):
        return f"http://127.0.0.1:{self.server.server_port}/webhooks/qstash/{queue}"

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

"""Runs the programs of article.py against the server that TIDEMILL_TEST_URL names: the
acceptance list of the contract, one test for each of its points."""

import json
import queue
import time
import unittest

import article

PATIENCE = 20  # seconds that a delivery may take; nothing is measured here


class Arrivals:
    """What came to a webhook. statuses are the answers, the last one for all that follow."""

    def __init__(self, test, *statuses):
        self.arrived = queue.Queue()
        self.statuses = list(statuses)
        self.webhook = article.Webhook(self.handle)
        test.addCleanup(self.webhook.close)

    def handle(self, headers, body):
        self.arrived.put((headers, body))
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def next(self):
        return self.arrived.get(timeout=PATIENCE)


def eventually(test, what, read):
    """Waits until read() is true and returns it."""
    until = time.monotonic() + PATIENCE
    while not (value := read()):
        if time.monotonic() > until:
            test.fail(f"not within {PATIENCE} s: {what}")
        time.sleep(0.02)
    return value


def numbers(name):
    return article.fetch_metrics()["queues"][name]


class TestArticle(unittest.TestCase):
    def test_1_producer(self):
        """A publish is answered 200 with an id; a repeat of its key with the same id, and
        there is one message."""
        first = article.create_order({"id": "o-1"}, key="order o-1")
        again = article.create_order({"id": "o-1"}, key="order o-1")
        other = article.create_order({"id": "o-2"})
        self.assertEqual(first["status"], "accepted")
        self.assertIsInstance(first["message_id"], str)
        self.assertEqual(first, again)
        self.assertNotEqual(first["message_id"], other["message_id"])
        messages = article.receive("order-events", max_messages=10)
        self.assertEqual(
            {m["message_id"]: m["message"] for m in messages},
            {
                first["message_id"]: {"order_id": "o-1", "type": "order_created"},
                other["message_id"]: {"order_id": "o-2", "type": "order_created"},
            },
        )
        for m in messages:
            article.ack(m)
        self.assertEqual(article.receive("order-events"), [])
        status, answer = article.call("POST", "/publish", {"queue": "order-events"})
        self.assertEqual((status, list(answer)), (400, ["error"]))

    def test_2_webhook(self):
        """The body is the order itself, and the article's check of signatures passes."""
        arrivals = Arrivals(self, 200)
        made = article.create_queue(name="hooked-orders", webhook_url=arrivals.webhook.url("hooked-orders"))
        secret = made["webhook_secret"]
        self.assertNotIn(secret, json.dumps(article.succeed("GET", "/queues")), "the secret is told once")
        sent = article.publish_to_qstash("hooked-orders", {"order_id": 7, "note": "ä \"quoted\""})
        headers, body = arrivals.next()
        self.assertEqual(json.loads(body)["order_id"], 7)
        self.assertTrue(article.verify_signature(headers, body, secret))
        self.assertFalse(article.verify_signature(headers, body + b" ", secret))
        self.assertEqual(headers["QStash-Message-Id"], sent)
        self.assertEqual(headers["QStash-Queue"], "hooked-orders")
        self.assertEqual(headers["QStash-Attempt"], "1")
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(headers["User-Agent"], "Upstash-QStash")
        self.assertEqual(headers["Upstash-Signature"].count("."), 2, "a JWT stands beside it")
        self.assertEqual(article.call("POST", "/queues/hooked-orders/receive")[0], 409)
        # The secret is changed by giving the next one.
        article.create_queue(name="hooked-orders", webhook_secret="the next secret")
        article.publish_to_qstash("hooked-orders", None)
        headers, body = arrivals.next()
        self.assertEqual(body, b"null")
        self.assertTrue(article.verify_signature(headers, body, "the next secret"))

    def test_3_server_retries(self):
        """What is not answered with a 2xx comes again, the same message."""
        arrivals = Arrivals(self, 500, 404, 200)
        article.create_queue(name="retried", webhook_url=arrivals.webhook.url("retried"), retry_delay="10 * (1 + retried)")
        sent = article.publish_to_qstash("retried", {"a": 1})
        seen = [arrivals.next() for _ in range(3)]
        self.assertEqual([h["QStash-Attempt"] for h, _ in seen], ["1", "2", "3"])
        self.assertEqual({h["QStash-Message-Id"] for h, _ in seen}, {sent})
        self.assertEqual({body for _, body in seen}, {b'{"a": 1}'})
        eventually(self, "delivered", lambda: numbers("retried")["delivered"] == 1)
        self.assertEqual(numbers("retried")["retried"], 2)

    def test_3_retry_helper(self):
        """A 202 is not retried: what comes again is what the consumer published itself."""
        attempts = queue.Queue()

        def process_payment(payload):
            if payload.get("attempt", 1) == 1:
                raise RuntimeError("payment gateway timeout")

        def handle(headers, body):
            began = time.monotonic()
            payload = json.loads(body)
            status = article.handle_payment_event(payload, process_payment)
            attempts.put((payload, status, headers["QStash-Attempt"], headers["QStash-Message-Id"], began))
            return status

        webhook = article.Webhook(handle)
        self.addCleanup(webhook.close)
        article.create_queue(name="payment-events", webhook_url=webhook.url("payment-events"), retry_delay="10")
        sent = article.publish_to_qstash("payment-events", {"id": "p-1", "amount": 5})
        first = attempts.get(timeout=PATIENCE)
        second = attempts.get(timeout=PATIENCE)
        self.assertEqual(first[:4], ({"id": "p-1", "amount": 5}, 202, "1", sent))
        self.assertEqual(second[:3], ({"id": "p-1", "amount": 5, "attempt": 2}, 200, "1"))
        self.assertNotEqual(second[3], sent)
        # It was published with a delay of 2 s after the first attempt had begun, and never
        # comes before its time.
        self.assertGreater(second[4] - first[4], 1.9)
        eventually(self, "both delivered", lambda: numbers("payment-events")["delivered"] == 2)
        self.assertEqual({k: numbers("payment-events")[k] for k in ("published", "deferred", "retried", "pending")},
                         {"published": 2, "deferred": 1, "retried": 0, "pending": 0})
        self.assertTrue(attempts.empty())

    def test_4_dead_letter_queue(self):
        """After the retries the message is in the dead letter queue, and can go back."""
        article.create_queue(name="invoice-processing", dead_letter_queue="invoice-dlq")
        sent = article.publish_to_qstash("invoice-processing", {"invoice": 9})
        for attempt in range(1, 5):
            (m,) = article.receive("invoice-processing", wait_seconds=10)
            self.assertEqual((m["message_id"], m["attempts"]), (sent, attempt))
            article.nack(m)
        (dead,) = article.receive("invoice-dlq", wait_seconds=10)
        self.assertEqual((dead["message_id"], dead["message"], dead["attempts"]), (sent, {"invoice": 9}, 1))
        self.assertEqual((dead["dead_letter"]["source_queue"], dead["dead_letter"]["attempts"]), ("invoice-processing", 4))
        self.assertEqual(numbers("invoice-processing")["dead_lettered"], 1)
        article.nack(dead)
        eventually(self, "moved back", lambda: article.succeed("POST", "/queues/invoice-dlq/redrive")["moved"] == 1)
        (m,) = article.receive("invoice-processing", wait_seconds=10)
        self.assertEqual((m["message_id"], m["attempts"]), (sent, 1))
        article.ack(m)

    def test_4_dead_letter_of_a_webhook(self):
        """The same for a webhook, with the status that it answered last."""
        arrivals = Arrivals(self, 500)
        article.create_queue(name="hooked-invoices", dead_letter_queue="hooked-dlq", max_retries=1,
                             webhook_url=arrivals.webhook.url("hooked-invoices"), retry_delay="10")
        sent = article.publish_to_qstash("hooked-invoices", [1.50])
        (dead,) = article.receive("hooked-dlq", wait_seconds=20)
        self.assertEqual((dead["message_id"], dead["message"]), (sent, [1.50]))
        self.assertEqual((dead["dead_letter"]["last_status"], dead["dead_letter"]["attempts"]), (500, 2))
        article.ack(dead)

    def test_5_extend(self):
        """While its time is prolonged nobody else gets the message."""
        sent = article.publish_to_qstash("video-jobs", {"file": "a.mp4"})
        (m,) = article.receive("video-jobs", visibility_seconds=1, wait_seconds=10)
        answer = article.extend_visibility(sent, 60)
        self.assertEqual(answer["message_id"], sent)
        self.assertGreater(answer["visible_at"], m["visible_at"] + 50_000)
        self.assertEqual(article.receive("video-jobs", wait_seconds=1.5), [])
        self.assertEqual(article.extend_visibility(sent, 1)["visible_at"], answer["visible_at"], "never shortened")
        article.ack(m)
        self.assertEqual(article.call("POST", f"/messages/{sent}/extend", {"visibility_seconds": 5})[0], 404)

    def test_6_metrics(self):
        """The depth of a queue is a number, also of one that was only created."""
        article.create_queue(name="metered")
        self.assertEqual(numbers("metered")["pending"], 0)
        for n in range(3):
            article.publish_to_qstash("metered", n)
        article.publish_to_qstash("metered", "later", delay=3600)
        eventually(self, "three pending", lambda: numbers("metered")["pending"] == 3)
        (m,) = article.receive("metered", max_messages=1)
        eventually(self, "one in flight", lambda: numbers("metered")["in_flight"] == 1)
        article.ack(m)
        eventually(self, "one delivered", lambda: numbers("metered")["delivered"] == 1)
        got = numbers("metered")
        self.assertEqual((got["pending"], got["in_flight"], got["delayed"], got["published"]), (2, 0, 1, 4))


if __name__ == "__main__":
    unittest.main()

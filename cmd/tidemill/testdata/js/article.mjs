// The programs of an article about the service, as its readers copy them: an endpoint
// that verifies signatures, messages with callbacks, topics, and the dead letter queue.
// What they take from around them, the app's address, a database and a chat, is passed
// in; types are left out. The rest is theirs.
export function programs({ Client, Receiver, env, db, slack, handleJob }) {
  const qstash = new Client({ token: env.QSTASH_TOKEN, baseUrl: env.QSTASH_URL });
  const qstashReceiver = new Receiver({
    currentSigningKey: env.QSTASH_CURRENT_SIGNING_KEY,
    nextSigningKey: env.QSTASH_NEXT_SIGNING_KEY,
  });

  // app/api/qstash/process/route.ts
  async function process(req) {
    const body = await req.text();
    const signature = req.headers.get("upstash-signature");
    if (!signature) {
      return new Response("Missing signature", { status: 401 });
    }
    const isValid = await qstashReceiver.verify({
      body,
      signature,
      url: `${env.NEXT_PUBLIC_APP_URL}/api/qstash/process`,
    });
    if (!isValid) {
      return new Response("Invalid signature", { status: 401 });
    }
    const payload = JSON.parse(body);
    await handleJob(payload);
    return new Response("OK", { status: 200 });
  }

  async function publishWithCallback(orderId, retries) {
    await qstash.publishJSON({
      url: `${env.NEXT_PUBLIC_APP_URL}/api/qstash/process-order`,
      body: { orderId },
      retries,
      callback: `${env.NEXT_PUBLIC_APP_URL}/api/qstash/callbacks/success`,
      failureCallback: `${env.NEXT_PUBLIC_APP_URL}/api/qstash/callbacks/failure`,
    });
  }

  // app/api/qstash/callbacks/success/route.ts
  async function success(req) {
    const result = await req.json();
    await db.jobLog.create({
      data: {
        messageId: result.messageId,
        status: "completed",
        response: result.body,
      },
    });
    return new Response("OK");
  }

  // app/api/qstash/callbacks/failure/route.ts
  async function failure(req) {
    const result = await req.json();
    await db.jobLog.create({
      data: {
        messageId: result.messageId,
        status: "dead-letter",
        error: result.body,
      },
    });
    await slack.postMessage({
      channel: "#alerts",
      text: `QStash job failed permanently: ${result.messageId}`,
    });
    return new Response("OK");
  }

  async function setupTopics() {
    await qstash.topics.addEndpoints({
      name: "order-events",
      endpoints: [
        { url: `${env.NEXT_PUBLIC_APP_URL}/api/qstash/update-inventory` },
        { url: `${env.NEXT_PUBLIC_APP_URL}/api/qstash/send-notification` },
        { url: `${env.NEXT_PUBLIC_APP_URL}/api/qstash/update-analytics` },
        { url: `${env.PARTNER_URL}/webhook` },
      ],
    });
  }

  async function publishOrderEvent(orderId, event) {
    return qstash.publishJSON({
      topic: "order-events",
      body: { orderId, event, timestamp: Date.now() },
      retries: 3,
    });
  }

  async function reviewDeadLetterQueue() {
    const dlqMessages = await qstash.dlq.listMessages();
    return dlqMessages.messages.map((msg) => ({
      dlqId: msg.dlqId,
      messageId: msg.messageId,
      url: msg.url,
      responseStatus: msg.responseStatus,
      responseBody: msg.responseBody,
      maxRetries: msg.maxRetries,
    }));
  }

  async function retryDlqMessage(dlqId) {
    await qstash.dlq.delete(dlqId);
  }

  const routes = {
    "/api/qstash/process": process,
    "/api/qstash/callbacks/success": success,
    "/api/qstash/callbacks/failure": failure,
  };
  return { qstash, routes, publishWithCallback, setupTopics, publishOrderEvent, reviewDeadLetterQueue, retryDlqMessage };
}

package metrics

// The metrics, in the order of the operator's handbook (cmd/tidemill/OPERATIONS.md), whose
// table a test compares with this one and with what a running server answers.

// The server.
var (
	buildMetric = gauge("build_info", "Always 1; the labels say what the server was built from.", "version", "commit", "goversion")
	readyMetric = gauge("ready", "1 while publishes are accepted but for overload and a full disk; 0 while the server starts or stops, and when the log failed or hangs.")
	waitMetric  = gauge("loop_wait_seconds", "How long this scrape waited for the engine's loop, which decides about all messages. Without an answer in a second what the loop knows is left out.")
	panicMetric = counter("panics_total", "Bugs of the server that cost one request or one attempt and not the process. The log has a line of each.", "where")
)

// What is published.
var (
	publishMetric   = counter("publishes_total", "Publishes that were answered with a message id: new ones, and duplicates of an earlier one.", "result")
	refusedMetric   = counter("publishes_refused_total", "Publishes that the engine refused, by reason and class of the HTTP status.", "reason", "class")
	stageMetric     = histo("publish_stage_duration_seconds", "Stages of a call that publishes, and of one in eight requests to publish a single message on each connection: append, until its records are in the open group of the log; durable, from there until they are on disk.", "stage")
	httpStageMetric = histo("http_publish_stage_duration_seconds", "Stages of an HTTP request that publishes, of one in eight on each connection: receive, until all of it was read; handle, until the engine has stored or refused it; answer, until that was written.", "stage")
	publishedMetric = counter("messages_published_total", "Messages that became durable, whatever their origin: publishes, members of URL groups, ticks, callbacks, retried dead letters.")
	callbackMetric  = counter("callbacks_published_total", "Callbacks among the messages that became durable.")
	pendingMetric   = gauge("messages_pending", "Messages that are neither delivered nor dead nor canceled, delayed ones and those of pull queues included.")
	outcomeMetric   = counter("message_outcomes_total", "What became durable of messages: delivered, retried (an attempt failed and another follows), dead (a dead letter, or moved to a dead letter queue), canceled.", "outcome")
)

// Attempts.
var (
	attemptMetric     = counter("attempts_total", "Attempts that ended, by the class of the answer's status (1xx to 5xx, other) or of the failure: timeout, connect, dns, tls, blocked (the address may not be called), closed, protocol, too_large, busy (no connection was free here), canceled (shutdown).", "class")
	logReadMetric     = counter("attempt_log_reads_total", "Attempts that read their message from the log: it was not among the 4 MiB committed last, which are in memory.")
	flightMetric      = gauge("attempts_in_flight", "Attempts under way, at hosts that are quick (they answered within 10 s, and in 200 ms on average) and at others.", "hosts")
	flightMaxMetric   = gauge("attempts_in_flight_limit", "Attempts that may be under way: delivery.parallelism, or what the limit of open files leaves of it.")
	youngMetric       = gauge("attempts_young", "Attempts that began within the last 20 ms; when they reach their limit, deliveries wait for the processor.")
	youngMaxMetric    = gauge("attempts_young_limit", "How many attempts may be young now. It falls while goroutines wait long for a processor.")
	deliverMetric     = histo("attempt_stage_duration_seconds", "Stages of an attempt: permit, from due until it may begin; flow, that time spent waiting for its flow-control key; dns, connect, tls, where a connection was made; first_byte, until the answer began; total; outcome, from its end until that is durable. The first two and the last are in whole milliseconds.", "stage")
	lateMetric        = histo("attempt_lateness_seconds", "How long after its message was due an attempt began, whatever it waited for, in whole milliseconds.")
	undurableMetric   = gauge("outcomes_undurable", "Ends of attempts that are not on disk yet. At 4,096 no attempt begins.")
	undurableBMetric  = gauge("outcomes_undurable_bytes", "Size of the ends of attempts that are not on disk yet. At 64 MiB no attempt begins.")
	heldMetric        = gauge("outcomes_held", "Ends of attempts that wait for room on the disk, since they owe callbacks.")
	hostMetric        = gauge("hosts", "Destination hosts that are known, by state: healthy, failing (up to 7 attempts in a row without a response), half_open (8 and more: it is probed by one attempt at a time). /hosts of the admin listener names them.", "state")
	parkedMetric      = gauge("parked", "Lanes, and messages of queues, that wait for a permit of their host or of their flow-control key.", "at")
	poolMetric        = gauge("destination_pools", "Hosts that the HTTP client keeps connections to or did a minute ago.")
	destConnMetric    = gauge("destination_connections", "Connections to destinations, by state: active, idle.", "state")
	destConnUseMetric = counter("destination_connection_uses_total", "What attempts did for a connection: dialed, reused, redialed (a kept one had been closed by the server).", "how")
)

// Memory and time.
var (
	residentMetric    = gauge("resident_messages", "Messages in memory: those that are due soon, and those at work. All others are on disk alone.")
	residentMaxMetric = gauge("resident_messages_limit", "Messages that may be in memory: delivery.resident.")
	retiringMetric    = gauge("retiring_entries", "Messages that have ended, or left memory, and wait for the index to have caught up.")
	laneMetric        = gauge("lanes", "Lanes (a queue, an ordering key, a flow-control key and host, a host) that are known, by state: resident (all their messages are in memory), spilled (the index has more).", "state")
	pageMetric        = gauge("pages_in_flight", "Reads of the index under way that bring messages into memory; 4 at most.")
	timerMetric       = gauge("wheel_timers", "Timers in the timing wheel.")
	expiredMetric     = counter("wheel_expired_total", "Timers that came due. A clock that is set back begins anew.")
	movedTimerMetric  = counter("wheel_cascades_total", "Moves of a timer to a finer slot of the wheel. A clock that is set back begins anew.")
	horizonMetric     = gauge("wheel_horizon_seconds", "How long before it is due a message may come into memory; what is further ahead waits in the index.")
	coreLagMetric     = gauge("loop_lag_bytes", "Committed groups of the log that the engine's loop has not seen. At 64 MiB publishes are refused.")
	scheduleMetric    = gauge("schedules", "Schedules that are defined.")
	tickMetric        = counter("schedule_ticks_total", "Ticks of schedules: published, and missed and not caught up.", "result")
	cronMetric        = counter("cron_faults_total", "Faults in the evaluation of cron expressions. Anything but 0 is a bug.")
	flowKeyMetric     = gauge("flow_keys", "Flow-control keys that have messages, an open window, a pause or a pin.")
	flowMsgMetric     = gauge("flow_messages", "Pending messages that have a flow-control key.")
)

// The disk and the log.
var (
	freeMetric       = gauge("disk_free_bytes", "Free space of the data directory's file system, as of the last look. Absent where it does not tell.")
	floorMetric      = gauge("disk_floor_bytes", "Free space below which publishes are refused: data.min-free. Absent where the file system does not tell.")
	fullMetric       = gauge("disk_full", "1 while publishes are refused for want of room.")
	hangMetric       = gauge("disk_hangs", "1 while the log waits for the disk for so long that publishes are refused.")
	logMetric        = gauge("log_bytes", "Size of the log's segments.")
	liveMetric       = gauge("log_live_bytes", "Bytes of the log that still count: pending messages, dead letters, definitions. Reclaiming keeps the log near 1.35 times that, 1.75 times while it grows.")
	segmentMetric    = gauge("log_segments", "Segments of the log.")
	spareMetric      = gauge("log_spare_segments", "Segments that are made ahead, of log.segment-size each, beside those of the log.")
	recordMetric     = counter("log_records_total", "Records that became durable.")
	writtenMetric    = counter("log_written_bytes_total", "Bytes written to the log, headers and padding included.")
	movedMetric      = counter("log_moved_bytes_total", "Bytes of the log that were copied from its oldest segments to its head, so that those can be given up.")
	reclaimedMetric  = counter("log_reclaimed_bytes_total", "Bytes of segments that were given up.")
	releasedMetric   = counter("log_segments_released_total", "Segments that were given up: recycled as spares, or removed.", "how")
	sparesMadeMetric = counter("log_spares_made_total", "Segments that were written or allocated ahead, beside recycled ones.")
	ampMetric        = gauge("log_write_amplification_ratio", "What the log wrote since the start for each byte that was no copy.")
	groupMetric      = histo("log_group_records", "Records that became durable by one sync. A group is what came up during the last sync.")
	groupBytesMetric = histo("log_group_bytes", "Bytes of a group of the log as written.")
	syncMetric       = histo("log_sync_duration_seconds", "How long the disk takes to sync a group. Every publish waits for one or two.")
	stallMetric      = counter("log_stalls_total", "Times that the disk did not answer for 10 s.")
)

// The index.
var (
	lagMetric        = gauge("index_lag_bytes", "Committed groups of the log that the index has not applied. At 64 MiB publishes are refused.")
	checkpointMetric = gauge("index_checkpoint_lag_bytes", "Bytes of the log that a start would replay. At 1 GiB publishes are refused.")
	applyMetric      = counter("index_apply_seconds_total", "Time that the applier was at work; its rate is the part of a processor that it takes.")
	batchMetric      = histo("index_batch_duration_seconds", "How long the writing of one batch to the index takes. Long ones mean that the index cannot write as fast as it is asked to.")
	indexMetric      = gauge("index_bytes", "Size of the index on disk.")
	tablesMetric     = gauge("index_tables", "Tables of the index.")
	memtableMetric   = gauge("index_memtable_bytes", "What of the index is in memory and not on disk yet.")
	readAmpMetric    = gauge("index_read_amplification_tables", "Tables that a read of the index may have to look into.")
	debtMetric       = gauge("index_compaction_debt_bytes", "Bytes that compactions have yet to rewrite.")
	cacheMetric      = gauge("index_cache_bytes", "Size of the cache of the index's blocks.")
	indexWriteMetric = counter("index_written_bytes_total", "Bytes that flushes and compactions of the index wrote.")
	flushMetric      = counter("index_flushes_total", "Flushes of the index.")
	compactMetric    = counter("index_compactions_total", "Compactions of the index.")
	cacheUseMetric   = counter("index_cache_requests_total", "Blocks of the index that were asked for: hit, in the cache; miss, read from its files.", "result")
	historyMetric    = gauge("history_bytes", "Estimated size of history on disk, which retention.history-size bounds.")
	oldestMetric     = gauge("history_oldest_timestamp_seconds", "When history begins. Absent while there is none.")
)

// Dead letters and damage.
var (
	deadMetric        = gauge("dead_letters", "Dead letters there are. They are counted after each start; until then this is absent.")
	deadAddedMetric   = counter("dead_letters_added_total", "Messages that became dead letters, by reason: exhausted (all attempts were made), non_retryable (the destination asked for no more), blocked (its address may not be called), damaged (its record cannot be read).", "reason")
	deadRetriedMetric = counter("dead_letters_retried_total", "Dead letters that were published again.")
	deadExpiredMetric = counter("dead_letters_expired_total", "Dead letters that were deleted for their age (retention.dlq).")
	rangesMetric      = gauge("damaged_ranges", "Places of the log that were found to be not as they were written, by the scrub, a backup or a read.")
	damagedMetric     = counter("damaged_messages_total", "Deliveries that found their message damaged, and ticks that found their schedule so.")
)

// Queues.
var (
	queuesMetric      = gauge("queues", "Queues of /v2 that are known.")
	queueMetric       = gauge("queue_messages", "Messages in a queue that have not ended, of the 100 largest; the sum of the others has empty labels.", "account", "queue")
	turnsMetric       = gauge("queue_turns", "Messages of a queue whose turn has begun, of the 100 largest queues; the sum of the others has empty labels.", "account", "queue")
	pausedMetric      = gauge("queue_paused", "1 if a queue is paused, of the 100 largest.", "account", "queue")
	pullsMetric       = gauge("pull_queues", "Pull queues that are known.")
	pullMetric        = gauge("pull_queue_messages", "Messages of a pull queue by state (pending, in_flight, delayed), of the 100 largest; the sum of the others, as of when something last happened in them, has empty labels.", "account", "queue", "state")
	pullAgeMetric     = gauge("pull_queue_oldest_age_seconds", "Age of the oldest message of a pull queue, of the 100 largest; 0 without one. Absent where so many messages fell due since something last happened that they are not looked at.", "account", "queue")
	pullPausedMetric  = gauge("pull_queue_paused", "1 if a pull queue is paused, of the 100 largest.", "account", "queue")
	pullCounterMetric = counter("pull_queue_events_total", "What happened to messages of a pull queue since it was made (published, delivered, retried, dead_lettered, deferred, expired), of the 100 largest. There is no sum of the others: it would fall when one of them grows.", "account", "queue", "event")
)

// The API.
var (
	requestMetric   = counter("http_requests_total", "Requests that were answered, by what their path is about and the class of the status.", "family", "class")
	unauthMetric    = counter("http_unauthenticated_total", "Requests without a valid token.")
	connMetric      = gauge("http_connections", "Connections of clients: active, with a request under way; idle.", "state")
	connMaxMetric   = gauge("http_connections_limit", "Connections of clients that there may be.")
	turnedMetric    = counter("http_connections_refused_total", "Connections that were refused, being over a limit.")
	bodyMetric      = gauge("http_body_bytes", "Bodies of requests that are read and not answered.")
	bodyMaxMetric   = gauge("http_body_bytes_limit", "Bodies that there may be: publish.inflight-bytes. Above it requests get 503.")
	receivingMetric = gauge("http_receives_waiting", "Requests that wait for a message of a pull queue.")
	streamsMetric   = gauge("http_event_streams", "Streams of events that are open.")
)

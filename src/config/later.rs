//! Keys of the reference system that have no effect yet.
//!
//! A configuration written for it loads unchanged: these keys are checked like all others, and
//! `validate` says of each one that is set that it does nothing. A key moves from here to
//! [`settings`](super::settings) when it does something.

use super::keys::{Key, Kind, keys};

/// All of them, by section.
pub const KEYS: &[Key] = keys! {
    /// The port of the dashboard.
    dashboard_port = Kind::PORT,
    /// The address of the dashboard and of the health check.
    health_bind_address = Kind::Address,
    /// How many WebSocket clients there may be.
    ws_max_connections = Kind::Integer(1, 1_000),
    /// How many messages may wait for one WebSocket client.
    ws_queue_maxlen = Kind::Integer(1, 100_000),
    /// How often WebSocket clients are sent to, in seconds.
    ws_tick_interval_s = Kind::Number(0.001, 60.0),
    /// How many events one WebSocket message may hold.
    ws_batch_max_events = Kind::Integer(1, 10_000),
    /// How often WebSocket clients are sent the status, in seconds.
    ws_status_interval_s = Kind::Number(0.1, 3_600.0),
    /// The origins that WebSocket clients may have; none means this machine.
    ws_allowed_origins = Kind::List(&Kind::Text(2_048)),
    /// How often a WebSocket client may change its filter, in milliseconds.
    ws_filter_min_interval_ms = Kind::Integer(0, 60_000),
    /// Whether the API limits requests.
    api_rate_limit_enabled = Kind::Switch,
    /// Where request counts are shared.
    api_rate_limit_redis_url = Kind::Secret,
    /// The origins that browsers may call the API from.
    api_allowed_origins = Kind::List(&Kind::Text(2_048)),
    /// How often lists may be asked for, as in `60/minute`.
    api_list_rate_limit = Kind::Text(64),
    /// How often single things may be asked for, as in `300/minute`.
    api_detail_rate_limit = Kind::Text(64),
    /// How often the coverage may be asked for, as in `10/minute`.
    api_coverage_rate_limit = Kind::Text(64),
    /// Whether a proxy's word on the client's address is taken.
    api_trust_proxy_headers = Kind::Switch,
    /// Where things are stored.
    storage = Kind::Object(STORAGE),
    /// Where logs come from.
    receivers = Kind::Object(RECEIVERS),
    /// What counts as unusual.
    detection = Kind::Object(DETECTION),
    /// Events of one entity, taken together.
    correlation = Kind::Object(keys! {
        /// How many entities have a window. Memory is limited by `state.memory_mb`, and entities
        /// beyond it are put aside, not forgotten.
        max_entities = Kind::Integer(1, 100_000_000),
    }),
    /// What becomes of alerts.
    alerting = Kind::Object(ALERTING),
    /// Explanations by a language model.
    llm = Kind::Object(LLM),
    /// What is usual for a user or a host.
    ueba = Kind::Object(UEBA),
    /// Indicators of compromise from elsewhere.
    threat_intel = Kind::Object(THREAT_INTEL),
};

const STORAGE: &[Key] = keys! {
    /// The database of the reference system; here state is in RocksDB, under `state.dir`.
    backend = Kind::Choice(&["sqlite", "postgresql", "rocksdb"]),
    /// The file of the SQLite database.
    sqlite_path = Kind::MAYBE_PATH,
    /// The address of the PostgreSQL database.
    postgresql_url = Kind::Secret,
    /// How many connections to PostgreSQL are kept.
    postgresql_pool_min_size = Kind::Integer(0, 1_000),
    /// How many connections to PostgreSQL there may be.
    postgresql_pool_max_size = Kind::Integer(1, 1_000),
    /// How long a statement may take, in seconds.
    postgresql_command_timeout_s = Kind::Number(0.1, 3_600.0),
    /// Where the entity graph is.
    graph_backend = Kind::Choice(&["igraph", "falkordb", "postgres_age"]),
    /// The address of FalkorDB.
    falkordb_url = Kind::Secret,
};

const RECEIVERS: &[Key] = keys! {
    /// Whether OTLP is received over gRPC.
    otlp_grpc_enabled = Kind::Switch,
    /// The port for OTLP over gRPC.
    otlp_grpc_port = Kind::PORT,
    /// How many threads serve OTLP over gRPC.
    otlp_grpc_max_workers = Kind::Integer(1, 256),
    /// Whether OTLP is received over HTTP.
    otlp_http_enabled = Kind::Switch,
    /// The port for OTLP over HTTP.
    otlp_http_port = Kind::PORT,
    /// How long an OTLP request may be, in bytes.
    otlp_http_max_request_bytes = Kind::Integer(1_024, 1 << 30),
    /// Where file positions are kept; here they are in the journal.
    file_checkpoint_dir = Kind::MAYBE_PATH,
    /// How long a changed file is left alone, in milliseconds.
    file_debounce_ms = Kind::Integer(0, 60_000),
    /// The folders that followed files must be in; none means any.
    allowed_log_roots = Kind::List(&Kind::Path),
    /// Endpoints for webhooks.
    webhooks = Kind::List(&Kind::Object(RECEIVED_WEBHOOK)),
    /// Whether webhooks are received.
    webhook_enabled = Kind::Switch,
    /// The port for webhooks.
    webhook_port = Kind::PORT,
};

const RECEIVED_WEBHOOK: &[Key] = keys! {
    /// The path of the endpoint.
    path = Kind::Text(2_048),
    /// The header that holds the token.
    auth_header = Kind::Text(256),
    /// The token.
    auth_token = Kind::Secret,
    /// Which field of the body is which field of the event.
    field_mapping = Kind::Map(&Kind::Text(1_024)),
    /// The name of the source.
    source_id = Kind::Text(256),
};

const DETECTION: &[Key] = keys! {
    /// Volume by day time (Holt-Winters).
    hw = Kind::Object(keys! {
        /// How many minutes a season has.
        seasonal_period = Kind::Integer(2, 100_000),
        /// How fast the level follows.
        alpha = Kind::Number(0.0, 1.0),
        /// How fast the trend follows.
        beta = Kind::Number(0.0, 1.0),
        /// How fast the season follows.
        gamma = Kind::Number(0.0, 1.0),
        /// How many standard deviations are unusual.
        n_std = Kind::Between(0.0, 100.0),
    }),
    /// Lasting changes of volume (CUSUM).
    cusum = Kind::Object(keys! {
        /// Which deviation is ignored, in standard deviations.
        drift = Kind::Number(0.0, 100.0),
        /// From which sum on there is a change.
        threshold = Kind::Between(0.0, 1_000.0),
        /// How fast mean and variance follow.
        ema_alpha = Kind::Between(0.0, 1.0),
        /// How many minutes come before the first opinion.
        warmup_buckets = Kind::Integer(1, 100_000),
    }),
    /// The tail beyond what was seen.
    dspot = Kind::Object(keys! {
        /// How far verdicts on alerts may raise the threshold, as a multiple of the calibrated one.
        threshold_cap_multiplier = Kind::Number(1.0, 1_000.0),
    }),
    /// Sequences of templates; here they are counted by Good and Turing, for all entities, as many
    /// as memory holds.
    markov = Kind::Object(keys! {
        /// What is added to each count, so that what was never seen is not impossible.
        smoothing = Kind::Between(0.0, 1.0),
        /// How many events an entity must have had before its own sequence counts.
        min_events = Kind::Integer(1, 1_000_000),
        /// How many entities have a sequence of their own.
        max_entities = Kind::Integer(1, 100_000_000),
    }),
    /// How often models are saved, in seconds; here checkpoints do that.
    model_save_interval_seconds = Kind::Integer(1, 86_400),
    /// The weight of volume in an event's score.
    weights_volume = Kind::Number(0.0, 1_000.0),
    /// The weight of lasting changes in an event's score.
    weights_pattern = Kind::Number(0.0, 1_000.0),
    /// The weight of a template's volume in an event's score.
    weights_template_volume = Kind::Number(0.0, 1_000.0),
    /// The weight of an entity's volume in an event's score.
    weights_entity_volume = Kind::Number(0.0, 1_000.0),
    /// How many events lie between two looks at the graph.
    graph_algo_interval = Kind::Integer(10, 100_000),
    /// After how many hours a risk has halved.
    risk_half_life_hours = Kind::Number(0.01, 8_760.0),
    /// From which risk on an entity is alerted.
    risk_threshold = Kind::Between(0.0, 1_000_000.0),
    /// How many entities have a risk.
    risk_max_entities = Kind::Integer(1, 100_000_000),
    /// Every how manieth event is scored.
    score_interval = Kind::Integer(1, 1_000_000),
    /// How many templates have a volume model.
    max_template_hw = Kind::Integer(0, 1_000_000),
    /// How many entities have a volume model.
    max_entity_hw = Kind::Integer(0, 1_000_000),
    /// Where uploaded rules are kept.
    sigma_custom_upload_dir = Kind::MAYBE_PATH,
    /// The shape of the entity graph.
    graph_structural = Kind::Object(keys! {
        /// Whether an edge between two communities is alerted.
        community_crossing_enabled = Kind::Switch,
        /// From which betweenness on a node is alerted.
        betweenness_threshold = Kind::Number(0.0, 1.0),
        /// How many standard deviations of fan-out are unusual.
        fan_out_sigma = Kind::Between(0.0, 100.0),
        /// How large an unusual fan-out is at least.
        fan_out_min_floor = Kind::Integer(0, 1_000_000),
        /// How many past fan-outs are remembered.
        fan_out_history_size = Kind::Integer(2, 100_000),
    }),
    /// Alerts of one entity that follow an attack's course.
    kill_chain = Kind::Object(keys! {
        /// Whether they are looked for.
        enabled = Kind::Switch,
        /// How many tactics make a chain.
        tactic_threshold = Kind::Integer(2, 14),
        /// How long a chain may take, in seconds.
        window_seconds = Kind::Integer(1, 31_536_000),
        /// How many entities are followed.
        max_entities = Kind::Integer(1, 100_000_000),
    }),
};

const ALERTING: &[Key] = keys! {
    /// Webhooks that alerts are sent to.
    webhooks = Kind::List(&Kind::Object(SENT_WEBHOOK)),
    /// Mail servers and receivers that alerts are sent to.
    email_targets = Kind::List(&Kind::Any),
    /// Telephone numbers that alerts are sent to.
    sms_targets = Kind::List(&Kind::Any),
    /// Telegram chats that alerts are sent to.
    telegram_targets = Kind::List(&Kind::Any),
    /// WhatsApp numbers that alerts are sent to.
    whatsapp_targets = Kind::List(&Kind::Any),
    /// Which alerts go where.
    routing_rules = Kind::List(&Kind::Any),
    /// Where alerts go that no rule sends anywhere.
    default_routing = Kind::Any,
    /// The PagerDuty key.
    pagerduty_routing_key = Kind::Secret,
    /// The address of the dashboard, for links in alerts.
    dashboard_url = Kind::MAYBE_URL,
    /// Where alerts are sent over OTLP.
    otlp_endpoint = Kind::Text(2_048),
    /// How they are sent.
    otlp_protocol = Kind::Choice(&["grpc", "http"]),
    /// How often they are sent, in seconds.
    otlp_export_interval_seconds = Kind::Number(0.1, 3_600.0),
    /// Whether they are encrypted.
    otlp_tls = Kind::Switch,
    /// The certificates of who may receive them.
    otlp_tls_ca_file = Kind::MAYBE_PATH,
    /// The certificate shown to the receiver.
    otlp_mtls_cert_file = Kind::MAYBE_PATH,
    /// The key of that certificate.
    otlp_mtls_key_file = Kind::MAYBE_PATH,
};

const SENT_WEBHOOK: &[Key] = keys! {
    /// Where alerts are sent.
    url = Kind::Required(&Kind::Secret),
    /// In which form.
    format = Kind::Required(&Kind::Choice(&["slack", "teams", "json"])),
    /// The name of this receiver.
    name = Kind::Text(256),
    /// The least severity of what is sent.
    min_severity = Kind::SEVERITY,
    /// When nothing is sent.
    quiet_hours = Kind::Any,
};

const LLM: &[Key] = keys! {
    /// Where the model runs; empty for nowhere.
    backend = Kind::Choice(&["", "llama_cpp", "ollama", "cloud"]),
    /// The file of the model.
    model_path = Kind::MAYBE_PATH,
    /// The address of Ollama.
    ollama_url = Kind::MAYBE_URL,
    /// Its model.
    ollama_model = Kind::Text(256),
    /// How long an answer may take, in seconds.
    ollama_timeout_s = Kind::Number(0.1, 3_600.0),
    /// Whose service is used.
    cloud_provider = Kind::Choice(&["", "anthropic", "openai"]),
    /// The key for it.
    cloud_api_key = Kind::Secret,
    /// Its model.
    cloud_model = Kind::Text(256),
    /// How long an answer may take, in seconds.
    cloud_timeout_s = Kind::Number(0.1, 3_600.0),
    /// Its address.
    cloud_base_url = Kind::MAYBE_URL,
    /// How many tokens the model takes.
    n_ctx = Kind::Integer(128, 1 << 24),
    /// How many threads it has.
    n_threads = Kind::Integer(1, 1_024),
    /// How many of its layers are on the graphics card.
    n_gpu_layers = Kind::Integer(0, 10_000),
    /// How many tokens an answer has.
    max_tokens_default = Kind::Integer(1, 1_024),
    /// How freely it answers.
    temperature_default = Kind::Number(0.0, 2.0),
    /// Its seed.
    seed = Kind::Integer(0, u64::MAX),
    /// How many explanations are kept.
    explanation_cache_size = Kind::Integer(0, 1_000_000),
    /// How long explanations are kept, in seconds.
    explanation_cache_ttl_s = Kind::Integer(0, 31_536_000),
    /// How many events an explanation is made from.
    explanation_max_contributing_events = Kind::Integer(1, 1_000),
    /// How long its prompt may be, in characters.
    explanation_max_prompt_chars = Kind::Integer(100, 1_000_000),
    /// How long an explanation may take, in seconds.
    explanation_timeout_s = Kind::Number(0.1, 3_600.0),
    /// How many hunts are kept.
    hunt_cache_size = Kind::Integer(0, 1_000_000),
    /// How long hunts are kept, in seconds.
    hunt_cache_ttl_s = Kind::Integer(0, 31_536_000),
    /// How long a hunt may take, in seconds.
    hunt_timeout_s = Kind::Number(0.1, 3_600.0),
    /// How many results a hunt has.
    hunt_max_results = Kind::Integer(1, 100_000),
    /// How long a question may be, in characters.
    hunt_max_query_chars = Kind::Integer(1, 100_000),
    /// How many proposed rules are kept.
    rule_suggestion_cache_size = Kind::Integer(0, 1_000_000),
    /// How long proposed rules are kept, in seconds.
    rule_suggestion_cache_ttl_s = Kind::Integer(0, 31_536_000),
    /// How many confirmed alerts a proposal needs.
    rule_suggestion_min_tp = Kind::Integer(1, 100_000),
    /// How many days back they may be; 0 for all.
    rule_suggestion_window_days = Kind::Integer(0, 36_500),
    /// How long a proposal may take, in seconds.
    rule_suggestion_timeout_s = Kind::Number(0.1, 3_600.0),
};

const UEBA: &[Key] = keys! {
    /// Whether behaviour is learnt.
    enabled = Kind::Switch,
    /// How many days come before the first opinion.
    warmup_days = Kind::Number(0.0, 3_650.0),
    /// How many events come before the first opinion.
    warmup_min_events = Kind::Integer(0, 100_000_000),
    /// How many entities are learnt.
    max_entities = Kind::Integer(1, 100_000_000),
    /// How fast habits change.
    ema_alpha = Kind::Between(0.0, 1.0),
    /// How many addresses are remembered for one entity.
    source_ip_cap = Kind::Integer(1, 100_000),
    /// How many templates are remembered for one entity.
    template_top_k = Kind::Integer(1, 100_000),
    /// From which score on an entity is alerted.
    score_threshold = Kind::Number(0.0, 1.0),
    /// What the score is made of; the weights sum to 1.
    sub_score_weights = Kind::Object(keys! {
        /// The weight of the hour.
        time_of_day = Kind::Number(0.0, 1.0),
        /// The weight of a new address.
        source_novelty = Kind::Number(0.0, 1.0),
        /// The weight of volume.
        volume = Kind::Number(0.0, 1.0),
        /// The weight of a new template.
        pattern_novelty = Kind::Number(0.0, 1.0),
    }),
    /// How long an alerted entity is left alone, in seconds.
    alert_cooldown_seconds = Kind::Integer(0, 31_536_000),
};

const THREAT_INTEL: &[Key] = keys! {
    /// Whether indicators are fetched.
    enabled = Kind::Switch,
    /// Where from (TAXII).
    feeds = Kind::List(&Kind::Object(FEED)),
    /// How often feeds are asked, in seconds.
    default_poll_interval_s = Kind::Integer(60, 31_536_000),
    /// How long an answer may take, in seconds.
    request_timeout_s = Kind::Number(0.1, 3_600.0),
    /// How many indicators one feed may have.
    max_indicators_per_feed = Kind::Integer(1, 10_000_000),
    /// How many days an expired indicator is kept.
    expired_grace_days = Kind::Integer(0, 36_500),
    /// Over how many seconds the first requests are spread.
    startup_jitter_s = Kind::Number(0.0, 3_600.0),
    /// How events are compared with indicators.
    matcher = Kind::Object(keys! {
        /// Whether they are.
        enabled = Kind::Switch,
        /// Which share of strangers the first look may take for an indicator.
        fpr = Kind::Between(0.0, 1.0),
        /// How many indicators there is room for at least.
        min_capacity = Kind::Integer(1, 1_000_000_000),
        /// By which factor that room grows.
        capacity_growth_factor = Kind::Number(1.0, 100.0),
        /// The least confidence that counts.
        confidence_floor = Kind::Integer(0, 100),
        /// How long changes are gathered, in milliseconds.
        rebuild_debounce_ms = Kind::Integer(0, 3_600_000),
        /// Which kinds of indicators count.
        enabled_types = Kind::List(&Kind::Choice(
            &["ipv4", "ipv6", "domain", "url", "md5", "sha1", "sha256"],
        )),
    }),
};

const FEED: &[Key] = keys! {
    /// The name of the feed.
    id = Kind::Required(&Kind::Text(256)),
    /// Its address.
    url = Kind::Required(&Kind::Url),
    /// The collection in it.
    collection_id = Kind::Text(256),
    /// How often it is asked, in seconds.
    poll_interval_s = Kind::Integer(60, 31_536_000),
    /// The names of environment variables that hold what it wants to know.
    auth = Kind::Map(&Kind::Text(256)),
    /// The least confidence that counts.
    confidence_floor = Kind::Integer(0, 100),
    /// Whether it is asked.
    enabled = Kind::Switch,
    /// Whether it may be asked without encryption.
    allow_insecure = Kind::Switch,
    /// Whether it may be on a private network.
    allow_private_addresses = Kind::Switch,
};

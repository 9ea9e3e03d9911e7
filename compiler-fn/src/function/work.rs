//! One event, dealt with and told of.

use aecp_compiler::{
    hosted::{
        Answer, Expiry, Hosted,
        event::{Event, Object, Place, binary_cloud_event, parse},
    },
    publish::Replica,
};
use aecp_contract::value::Duration;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{
    notify::Notifier,
    telemetry::{Telemetry, add_times, log},
};

/// The function.
pub(crate) struct Function {
    hosted: Hosted,
    place: Place,
    /// How long before it expires a release is to be renewed.
    renew_within: Duration,
    telemetry: Telemetry,
    notifier: Option<Notifier>,
    /// Compilations take a processor each and a good deal of memory; what comes meanwhile waits.
    room: Semaphore,
}

impl Function {
    pub(crate) fn new(
        hosted: Hosted,
        place: Place,
        renew_within: Duration,
        telemetry: Telemetry,
        notifier: Option<Notifier>,
    ) -> Self {
        let room = std::thread::available_parallelism().map_or(1, usize::from);
        Self { hosted, place, renew_within, telemetry, notifier, room: Semaphore::new(room) }
    }

    /// Deals with an event: JSON, of which a CloudEvent in binary mode has its type in a header. `trace` is the header by
    /// which the platform names the trace, if it does. What came of each object of it is told.
    ///
    /// # Errors
    /// Something failed that may not fail the next time: the event should be delivered again.
    pub(crate) async fn event(
        &self,
        body: &[u8],
        ce_type: Option<&str>,
        trace: Option<&str>,
    ) -> Result<Value, String> {
        let event = match ce_type {
            Some(ce_type) => binary_cloud_event(ce_type, body),
            None => parse(body),
        };
        let objects = match event {
            Event::Created(objects) => objects,
            Event::Check => return self.check(trace).await,
            Event::Handshake(code) => return Ok(json!({ "validationResponse": code })),
            Event::Nothing(why) => {
                let told = json!({ "level": "info", "result": "ignored", "message": why });
                self.telemetry.tell(&told, trace);
                return Ok(json!({ "uploads": [told] }));
            }
        };
        let (mut uploads, mut failed) = (Vec::new(), Vec::new());
        for object in &objects {
            match self.object(object).await {
                Ok(told) => uploads.push(told),
                Err(told) => failed.push(told),
            }
        }
        uploads.iter().chain(&failed).for_each(|told| self.telemetry.tell(told, trace));
        // Every other object was dealt with; when the event comes again they have their reports.
        match failed.first() {
            Some(told) => Err(told["message"].as_str().unwrap_or_default().to_owned()),
            None => Ok(json!({ "uploads": uploads })),
        }
    }

    /// Tells of every channel when its release expires, and warns where that is soon.
    async fn check(&self, trace: Option<&str>) -> Result<Value, String> {
        let expiries = self.hosted.expiries(self.renew_within).await;
        let expiries = expiries.map_err(|error| {
            let told = json!({ "level": "error", "result": "failed", "message": error.to_string() });
            self.telemetry.tell(&told, trace);
            error.to_string()
        })?;
        let told: Vec<Value> = expiries.iter().map(expiry).collect();
        told.iter().for_each(|told| self.telemetry.tell(told, trace));
        match told.iter().find(|told| told["level"] == "error") {
            Some(told) => Err(told["message"].as_str().unwrap_or_default().to_owned()),
            None => Ok(json!({ "channels": told })),
        }
    }

    async fn object(&self, object: &Object) -> Result<Value, Value> {
        let Some(key) = self.place.relative(object) else {
            let why =
                format!("bucket `{:.100}` is not this function's store", object.bucket.escape_debug());
            return Ok(json!({ "level": "info", "result": "ignored", "message": why }));
        };
        let failed = |message: String| json!({ "level": "error", "result": "failed", "key": key, "message": message });
        let room = self.room.acquire().await.map_err(|error| failed(error.to_string()))?;
        let answered =
            match self.hosted.on_upload(key).await.map_err(|error| failed(error.to_string()))? {
                Answer::Reported(answered) => answered,
                Answer::Ignored(why) => {
                    return Ok(
                        json!({ "level": "info", "result": "ignored", "key": key, "message": why }),
                    );
                }
            };
        drop(room);
        if let Some(notifier) = &self.notifier
            && let Err(why) = notifier.tell(&answered, &self.hosted.keys).await
        {
            log(&json!({ "level": "warn", "code": "notify_failed", "key": key, "message": why }));
        }
        let mut told = json!(answered.report.outcome);
        told["level"] = "info".into();
        told["key"] = key.into();
        told["set"] = json!(answered.report.set);
        told["channel"] = json!(answered.report.channel);
        told["report"] = format!("{}.html", answered.key).into();
        told["again"] = answered.again.into();
        // What a report of an earlier event took is told there.
        if !answered.again {
            add_times(&mut told, &answered.report);
        }
        if !answered.replicas.is_empty() {
            if answered.replicas.iter().any(|replica| replica.result.is_err()) {
                told["level"] = "warn".into();
            }
            told["replicas"] = answered.replicas.iter().map(replicated).collect();
        }
        Ok(told)
    }
}

/// What is told of one channel.
fn expiry(Expiry { channel, newest, is_due }: &Expiry) -> Value {
    let (serial, expires) = match newest {
        Ok(newest) => newest,
        Err(error) => {
            let message = error.to_string();
            return json!({ "level": "error", "result": "failed", "channel": channel, "message": message });
        }
    };
    let mut told = json!({ "level": "info", "result": "checked", "channel": channel, "serial": serial,
                           "expires": expires });
    if *is_due {
        told["level"] = "warn".into();
        told["code"] = "release_expires".into();
        let message =
            format!("release {serial} of channel {channel} expires at {expires}: publish it anew");
        told["message"] = message.into();
    }
    told
}

/// What came of one replica. One that failed is caught up the next time.
fn replicated(Replica { store, result }: &Replica) -> Value {
    match result {
        Ok(done) => json!({ "store": store, "serial": done.serial, "copied": done.copied }),
        Err(refusal) => {
            json!({ "store": store, "code": refusal.code.as_str(), "message": refusal.detail })
        }
    }
}

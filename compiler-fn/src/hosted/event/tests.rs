//! Events as the clouds send them.

use super::*;

fn created(pairs: &[(&str, &str)]) -> Event {
    let object = |(bucket, key): &(&str, &str)| Object { bucket: (*bucket).into(), key: (*key).into() };
    Event::Created(pairs.iter().map(object).collect())
}

fn is_nothing(event: &Event) -> bool {
    matches!(event, Event::Nothing(_))
}

#[test]
fn s3_notifications_have_form_encoded_keys() {
    let event = |name: &str, key: &str| {
        parse(format!(
            r#"{{"Records":[{{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-west-2",
            "eventTime":"1970-01-01T00:00:00.000Z","eventName":"{name}","userIdentity":{{"principalId":"AIDA"}},
            "s3":{{"s3SchemaVersion":"1.0","configurationId":"rule","bucket":{{"name":"policies",
            "ownerIdentity":{{"principalId":"A3NL"}},"arn":"arn:aws:s3:::policies"}},"object":{{"key":"{key}","size":1024,
            "eTag":"d41d8cd98f00b204e9800998ecf8427e","sequencer":"0055AED6DCD90281E5"}}}}}}]}}"#
        )
        .as_bytes())
    };
    let key = "inbox/eu/a b+ü.zip";
    assert_eq!(event("ObjectCreated:Put", "inbox/eu/a+b%2B%C3%BC.zip"), created(&[("policies", key)]));
    let whole = event("ObjectCreated:CompleteMultipartUpload", "inbox%2Feu%2Fa+b%2B%C3%BC.zip");
    assert_eq!(whole, created(&[("policies", key)]), "an emulator encodes slashes, too");
    assert!(is_nothing(&event("ObjectRemoved:Delete", "inbox/eu/a.zip")));
    for bad in ["%", "%2", "%zz", "%ff"] {
        assert!(is_nothing(&event("ObjectCreated:Put", bad)), "{bad}");
    }
    assert!(is_nothing(&parse(
        br#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"policies"}"#
    )));
}

#[test]
fn event_bridge_keys_are_as_they_are() {
    let event = |kind: &str| {
        parse(format!(
            r#"{{"version":"0","id":"17793124","detail-type":"{kind}","source":"aws.s3","account":"111122223333",
            "resources":["arn:aws:s3:::policies"],"detail":{{"version":"0","bucket":{{"name":"policies"}},
            "object":{{"key":"inbox/eu/a+b%20.zip","size":5,"etag":"b1946ac9","sequencer":"617f08299329d189"}},
            "reason":"PutObject"}}}}"#
        )
        .as_bytes())
    };
    assert_eq!(event("Object Created"), created(&[("policies", "inbox/eu/a+b%20.zip")]));
    assert!(is_nothing(&event("Object Deleted")));
}

#[test]
fn cloud_events_come_in_both_modes() {
    let data = r#"{"kind":"storage#object","id":"policies/inbox/eu/a.zip/1637874272256630","name":"inbox/eu/a.zip",
        "bucket":"policies","generation":"1637874272256630","contentType":"application/zip","size":"13"}"#;
    let expected = created(&[("policies", "inbox/eu/a.zip")]);
    assert_eq!(binary_cloud_event(FINALIZED, data.as_bytes()), expected);
    let structured = format!(
        r#"{{"specversion":"1.0","id":"1","type":"{FINALIZED}","source":"//storage.googleapis.com/projects/_/buckets/p",
        "subject":"objects/inbox/eu/a.zip","datacontenttype":"application/json","data":{data}}}"#
    );
    assert_eq!(parse(structured.as_bytes()), expected);
    // As Pub/Sub pushes it without a wrapper.
    assert_eq!(parse(data.as_bytes()), expected);
    assert!(is_nothing(&binary_cloud_event("google.cloud.storage.object.v1.deleted", data.as_bytes())));
    assert!(is_nothing(&binary_cloud_event(FINALIZED, b"{}")));
}

fn grid(url: &str) -> String {
    format!(
        r#"{{"topic":"/subscriptions/x/storageAccounts/acc","eventType":"Microsoft.Storage.BlobCreated","id":"1",
        "subject":"/blobServices/default/containers/policies/blobs/inbox/eu/a.zip","eventTime":"2018-01-23T17:02:19Z",
        "data":{{"api":"PutBlob","eTag":"0x8D562831044DDD0","blobType":"BlockBlob","url":"{url}","storageDiagnostics":{{}}}},
        "dataVersion":"","metadataVersion":"1"}}"#
    )
}

const BLOB: &str = "https://acc.blob.core.windows.net/policies/inbox/eu/a%20b.zip";

#[test]
fn event_grid_comes_alone_in_a_list_and_through_a_functions_host() {
    let expected = created(&[("policies", "inbox/eu/a b.zip")]);
    let event = grid(BLOB);
    assert_eq!(parse(event.as_bytes()), expected);
    assert_eq!(parse(format!("[{event}]").as_bytes()), expected);
    let cloud = format!(
        r#"{{"specversion":"1.0","type":"Microsoft.Storage.BlobCreated","source":"/subscriptions/x","id":"1",
        "data":{{"api":"PutBlob","url":"{BLOB}"}}}}"#
    );
    assert_eq!(parse(cloud.as_bytes()), expected);
    // As an object, as a text, and as a text in a text.
    let once = serde_json::to_string(&event).unwrap();
    let twice = serde_json::to_string(&once).unwrap();
    for value in [&event, &once, &twice] {
        let request = format!(
            r#"{{"Data":{{"eventGridEvent":{value}}},"Metadata":{{"sys":{{"MethodName":"Compile"}}}}}}"#
        );
        assert_eq!(parse(request.as_bytes()), expected, "{request}");
    }
    let blob_trigger = format!(
        r#"{{"Data":{{"blob":"UEsDBA=="}},"Metadata":{{"name":"a b.zip","Uri":"\"{BLOB}\"","Properties":{{}}}}}}"#
    );
    assert_eq!(parse(blob_trigger.as_bytes()), expected);
    assert!(is_nothing(&parse(grid("no url").as_bytes())));
    assert!(is_nothing(&parse(br#"{"Data":{"x":{"Data":{"x":{}}}}}"#)));
}

#[test]
fn event_grid_is_told_that_it_is_welcome() {
    let event = br#"[{"id":"1","topic":"/subscriptions/x","subject":"","eventType":
        "Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"512d38b6","validationUrl":"https://x"}}]"#;
    assert_eq!(parse(event), Event::Handshake("512d38b6".into()));
}

#[test]
fn a_schedule_asks_for_a_look_at_the_channels() {
    assert_eq!(parse(br#"{"check":"channels"}"#), Event::Check);
    assert!(is_nothing(&parse(br#"{"check":"mate"}"#)));
    let timer = r#"{"Schedule":{"AdjustForDST":true},"ScheduleStatus":{"Last":"2026-03-01T06:00:00+00:00"},"IsPastDue":false}"#;
    for timer in [timer.to_owned(), serde_json::to_string(timer).unwrap()] {
        let request =
            format!(r#"{{"Data":{{"timer":{timer}}},"Metadata":{{"sys":{{"MethodName":"check"}}}}}}"#);
        assert_eq!(parse(request.as_bytes()), Event::Check, "{request}");
    }
}

#[test]
fn what_is_no_event_is_nothing() {
    let deep = "[".repeat(100_000);
    for bad in [
        "",
        "null",
        "1",
        "\"x\"",
        "{}",
        "[]",
        "[1]",
        r#"{"Records":[]}"#,
        r#"{"Records":[{}]}"#,
        deep.as_str(),
    ] {
        assert!(is_nothing(&parse(bad.as_bytes())), "{:.20}", bad);
    }
    assert!(is_nothing(&parse(&vec![b' '; MAX_EVENT_BYTES + 1])));
}

#[test]
fn only_objects_of_the_store_are_looked_at() {
    let object = |bucket: &str, key: &str| Object { bucket: bucket.into(), key: key.into() };
    let at = |url: &str, object: &Object| {
        Place::of_store(url).unwrap().relative(object).map(ToOwned::to_owned)
    };
    let here = object("policies", "inbox/eu/a.zip");
    assert_eq!(at("s3://policies", &here).as_deref(), Some("inbox/eu/a.zip"));
    assert_eq!(at("s3://other", &here), None);
    assert_eq!(
        at("gs://policies/aecp/", &object("policies", "aecp/inbox/x")).as_deref(),
        Some("inbox/x")
    );
    assert_eq!(at("az://policies/aecp", &here), None);
    assert_eq!(at("file:///srv/policies", &here).as_deref(), Some("inbox/eu/a.zip"));
}

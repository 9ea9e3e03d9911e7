//! A store that cannot be trusted: every byte of it may be another.

use aecp_contract::{
    digest::Digest, layout, manifest::AuditLevel, native::this_machine, release::MANIFEST,
    trust::TrustRoot, verdict::Decision,
};
use aecp_enforcer::Artifacts;
use proptest::prelude::*;

use crate::fixture::{Publisher, after, artifacts, channel};

/// Positions to change: all of a small object, a sample of a large one.
fn positions(length: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(length.div_ceil(400))
}

#[tokio::test]
async fn every_changed_byte_and_every_cut_of_every_object_is_refused() {
    let publisher = Publisher::new();
    let root = publisher.root.sign(&[&publisher.key]).to_json();
    publisher.put(&layout::root(1), &root);
    publisher.publish(1, 'E');
    let (enforcer, mut refresher) = publisher.enforcer().await;
    refresher.poll().await.unwrap();
    let before = publisher.keys();
    publisher.publish(2, 'U');
    let used = |key: &String| !before.contains(key) || !key.starts_with("releases/");
    let keys: Vec<String> = publisher.keys().into_iter().filter(used).collect();
    // Pointer, root, release, manifest and both releases' modules and code, of which the first is not used.
    let code = usize::from(this_machine().is_some());
    assert_eq!(keys.len(), 6 + 2 * code, "{keys:?}");
    let first = artifacts('E', AuditLevel::None);
    let first: Vec<_> = first
        .iter()
        .filter(|(name, _)| *name != MANIFEST)
        .map(|(_, bytes)| layout::blob(Digest::of(bytes)))
        .collect();
    let source = publisher.source();
    for key in keys.iter().filter(|key| !first.contains(key)) {
        let good = std::fs::read(publisher.path(key)).unwrap();
        for at in positions(good.len()) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            for bytes in [&bad[..], &good[..at]] {
                publisher.put(key, bytes);
                let fetched =
                    source.fetch_latest(&publisher.pinned(), after(0), Artifacts::Needed).await;
                assert!(fetched.is_err(), "byte {at} of {key}");
                if at % 16 == 0 {
                    assert!(refresher.poll().await.is_err(), "byte {at} of {key}");
                    let decided = enforcer.snapshot().decide_json(br#"{"customer.region":"EU"}"#);
                    assert_eq!(decided.decision(), Decision::Allow);
                    assert_eq!(decided.release().unwrap().serial, 1);
                }
            }
        }
        publisher.put(key, &good);
    }
    refresher.poll().await.unwrap();
    assert_eq!(enforcer.status().serial, Some(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_in_a_store_are_refused_without_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        which in 0usize..4,
    ) {
        let publisher = Publisher::new();
        publisher.publish(1, 'E');
        publisher.put(&layout::root(1), &publisher.root.sign(&[&publisher.key]).to_json());
        let key = [
            layout::channel(&channel()),
            layout::release(&channel(), 1),
            layout::root(1),
            layout::root(2),
        ][which].clone();
        publisher.put(&key, &bytes);
        let _ = TrustRoot::pinned(&bytes);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fetch = publisher.source();
        let pinned = publisher.pinned();
        let fetched = fetch.fetch_latest(&pinned, after(0), Artifacts::Needed);
        let fetched = runtime.block_on(fetched);
        prop_assert!(fetched.is_err());
    }
}

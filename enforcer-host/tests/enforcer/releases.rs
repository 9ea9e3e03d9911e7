//! Taking up releases, refusing them, and remembering over a restart.

use std::{fs, time::Duration};

use aecp_contract::{
    dsse::MAX_ENVELOPE_BYTES,
    layout,
    manifest::{AuditLevel, ComponentPolicy, Enforcement, MAX_COMPONENTS, Manifest},
    native::this_machine,
    refusal::Code,
    release::{Artifact, CORE_MODULE, ChannelPointer, MANIFEST, Statement},
    trust::Role,
    verdict::Decision,
};
use aecp_enforcer::{
    Artifacts, Driven, Enforcer, Reason,
    refresh::{Polled, Refresher},
    state::{StateError, StateFolder},
};

use crate::fixture::{Publisher, after, artifacts, channel, key, manifest, release};

fn decides_by(enforcer: &Enforcer) -> Option<u64> {
    let decided = enforcer.snapshot().decide_json(br#"{"customer.region":"EU"}"#);
    assert_eq!(decided.decision(), Decision::Allow);
    decided.release().map(|release| release.serial)
}

async fn refused(refresher: &mut Refresher) -> Code {
    refresher.poll().await.unwrap_err().code
}

#[tokio::test]
async fn the_newest_release_is_taken_up_once() {
    let publisher = Publisher::new();
    let (enforcer, mut refresher) = publisher.enforcer().await;
    assert_eq!(enforcer.snapshot().decide_json(b"{}").reason(), Some(Reason::NoRelease));
    assert_eq!(refused(&mut refresher).await, Code::NotFound);
    publisher.publish(1, 'E');
    assert!(matches!(refresher.poll().await, Ok(Polled::Swapped(id)) if id.serial == 1));
    assert_eq!(refresher.poll().await, Ok(Polled::Unchanged));
    assert_eq!(enforcer.status().last_refusal, None);
    publisher.publish(5, 'E');
    assert!(matches!(refresher.poll().await, Ok(Polled::Swapped(id)) if id.serial == 5));
    assert_eq!(decides_by(&enforcer), Some(5));
    let (source, pinned) = (publisher.source(), publisher.pinned());
    let latest = source.fetch_latest(&pinned, after(0), Artifacts::All).await.unwrap();
    assert_eq!(latest.id().serial, 5);
    for (name, _) in latest.statement().artifacts() {
        assert!(latest.artifact(name).is_ok());
    }
}

/// Publishes something wrong after release 7.
type Wrong = fn(&Publisher);

fn core_blob() -> String {
    let core = &artifacts('U', AuditLevel::None)[CORE_MODULE];
    layout::blob(Artifact::of(core).digest)
}

/// Publishes a release with so many policies that say that they are components, and are none.
fn with_components(publisher: &Publisher, count: usize) {
    let declared = |n: usize| ComponentPolicy {
        name: format!("beside_{n:02}"),
        enforcement: Enforcement::Advisory,
        audit: AuditLevel::None,
        description: None,
        attributes: vec![],
    };
    let components: Vec<_> = (0..count).map(declared).collect();
    let mut artifacts = artifacts('U', AuditLevel::None);
    for component in &components {
        artifacts.insert(component.artifact(), b"\0asm nonsense".to_vec());
    }
    let manifest = Manifest { components, ..manifest() };
    artifacts.insert(MANIFEST.to_owned(), serde_json::to_vec(&manifest).unwrap());
    publisher.publish_as(&publisher.key, &release(8), &artifacts);
}

/// A host that cannot run components refuses them as they are.
const COMPONENT: Code =
    if cfg!(feature = "components") { Code::InvalidModule } else { Code::UnsupportedAbi };
const TOO_MANY: Code = if cfg!(feature = "components") { Code::TooLarge } else { Code::UnsupportedAbi };

const WRONGS: &[(&str, Code, Wrong)] = &[
    ("signed by a stranger", Code::UnknownKey, |p| {
        p.publish_as(&key(9), &release(8), &artifacts('U', AuditLevel::None));
    }),
    ("a signature over something else", Code::BadSignature, |p| {
        let named = [(CORE_MODULE.to_owned(), Artifact::of(b"x"))].into();
        let other = Statement::new(&named, release(8)).sign(&[&p.key]).to_json();
        let other: serde_json::Value = serde_json::from_slice(&other).unwrap();
        let pointer = p.publish(8, 'U');
        let path = layout::release(&channel(), 8);
        p.change(&path, |bytes| {
            let mut envelope: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            envelope["signatures"] = other["signatures"].clone();
            serde_json::to_vec(&envelope).unwrap()
        });
        let bytes = fs::read(p.path(&path)).unwrap();
        p.point(&ChannelPointer { release: Artifact::of(&bytes).digest, ..pointer });
    }),
    ("an older serial", Code::SerialReplayed, |p| {
        p.publish(6, 'U');
    }),
    ("the same serial with other contents", Code::SerialReplayed, |p| {
        p.publish(7, 'U');
    }),
    ("an old release in the place of a new one", Code::SerialReplayed, |p| {
        let pointer = p.publish(6, 'U');
        let bytes = fs::read(p.path(&layout::release(&channel(), 6))).unwrap();
        p.put(&layout::release(&channel(), 8), &bytes);
        p.point(&ChannelPointer { serial: 8, ..pointer });
    }),
    ("expired", Code::Expired, |p| {
        let mut expired = release(8);
        expired.expires = after(-1);
        p.publish_as(&p.key, &expired, &artifacts('U', AuditLevel::None));
    }),
    ("from the future", Code::NotYetValid, |p| {
        let mut early = release(8);
        early.issued = after(3000);
        p.publish_as(&p.key, &early, &artifacts('U', AuditLevel::None));
    }),
    ("another module under the digest", Code::DigestMismatch, |p| {
        p.publish(8, 'U');
        p.change(&core_blob(), |mut bytes| {
            bytes[40] ^= 1;
            bytes
        });
    }),
    ("other machine code under the digest", Code::DigestMismatch, |p| {
        p.publish(8, 'U');
        let Some(target) = this_machine() else { return p.change(&core_blob(), |b| vec![0; b.len()]) };
        let code = Artifact::of(&artifacts('U', AuditLevel::None)[target.artifact]);
        p.change(&layout::blob(code.digest), |mut bytes| {
            bytes[40] ^= 1;
            bytes
        });
    }),
    ("another release under the digest", Code::DigestMismatch, |p| {
        let pointer = p.publish(8, 'U');
        p.publish_as(&p.key, &release(8), &artifacts('X', AuditLevel::None));
        p.point(&pointer);
    }),
    ("a cut-off module", Code::Truncated, |p| {
        p.publish(8, 'U');
        p.change(&core_blob(), |bytes| bytes[..40].to_vec());
    }),
    ("a cut-off release", Code::Truncated, |p| {
        p.publish(8, 'U');
        p.change(&layout::release(&channel(), 8), |bytes| bytes[..bytes.len() - 9].to_vec());
    }),
    ("a cut-off pointer", Code::Truncated, |p| {
        p.publish(8, 'U');
        p.change(&layout::channel(&channel()), |bytes| bytes[..9].to_vec());
    }),
    ("a module that is too large", Code::TooLarge, |p| {
        p.publish(8, 'U');
        p.change(&core_blob(), |bytes| [bytes, vec![0]].concat());
    }),
    ("a release that is too large", Code::TooLarge, |p| {
        p.publish(8, 'U');
        p.change(&layout::release(&channel(), 8), |_| vec![b' '; MAX_ENVELOPE_BYTES + 1]);
    }),
    ("a pointer that is too large", Code::TooLarge, |p| {
        p.change(&layout::channel(&channel()), |_| vec![b' '; 2000]);
    }),
    ("a release of another channel", Code::WrongChannel, |p| {
        let mut other = release(8);
        other.channel = "staging".parse().unwrap();
        p.publish_as(&p.key, &other, &artifacts('U', AuditLevel::None));
    }),
    ("a pointer of another channel", Code::WrongChannel, |p| {
        let pointer = p.publish(8, 'U');
        p.point(&ChannelPointer { channel: "staging".parse().unwrap(), ..pointer });
    }),
    ("a pointer that is no pointer", Code::Malformed, |p| {
        p.change(&layout::channel(&channel()), |_| b"{}".to_vec());
    }),
    ("a release without a module", Code::Malformed, |p| {
        let mut artifacts = artifacts('U', AuditLevel::None);
        artifacts.remove(CORE_MODULE);
        p.publish_as(&p.key, &release(8), &artifacts);
    }),
    ("a module that is none", Code::InvalidModule, |p| {
        let mut artifacts = artifacts('U', AuditLevel::None);
        artifacts.insert(CORE_MODULE.to_owned(), b"\0asm nonsense".to_vec());
        artifacts.retain(|name, _| !name.ends_with(".cwasm"));
        p.publish_as(&p.key, &release(8), &artifacts);
    }),
    ("a policy that is a component, and none", COMPONENT, |p| {
        with_components(p, 1);
    }),
    ("more components than a release may have", TOO_MANY, |p| {
        with_components(p, MAX_COMPONENTS + 1);
    }),
    ("a module that is not there", Code::NotFound, |p| {
        p.publish(8, 'U');
        fs::remove_file(p.path(&core_blob())).unwrap();
    }),
    ("another root of the pinned version", Code::RootMismatch, |p| {
        let mut root = p.root.clone();
        root.roles.remove(&Role::Judicial);
        p.put(&layout::root(1), &root.sign(&[&p.key]).to_json());
        p.publish(8, 'U');
    }),
];

#[tokio::test]
async fn whatever_is_refused_the_last_good_release_keeps_serving() {
    for (what, code, wrong) in WRONGS {
        let publisher = Publisher::new();
        publisher.publish(7, 'E');
        let (enforcer, mut refresher) = publisher.enforcer().await;
        refresher.poll().await.unwrap();
        wrong(&publisher);
        assert_eq!(refused(&mut refresher).await, *code, "{what}");
        assert_eq!(refused(&mut refresher).await, *code, "{what}, again");
        assert_eq!(decides_by(&enforcer), Some(7), "{what}");
        let status = enforcer.status();
        assert_eq!((status.status, status.serial), ("serving", Some(7)));
        assert_eq!(status.last_refusal.map(|refusal| refusal.code), Some(code.as_str()));
        let counted = format!("aecp_refusals_total{{code=\"{code}\"}} 2\n");
        assert!(enforcer.metrics().encode().contains(&counted), "{what}: {counted}");
        // A good release after it is taken up as if nothing had been.
        let _ = fs::remove_file(publisher.path(&layout::root(1)));
        publisher.publish_as(&publisher.key, &release(9), &artifacts('E', AuditLevel::Optional));
        refresher.poll().await.unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
        assert_eq!(decides_by(&enforcer), Some(9), "{what}");
        assert_eq!(enforcer.status().last_refusal, None);
    }
}

#[tokio::test]
async fn a_restart_serves_without_a_store_and_cannot_be_rolled_back() {
    let publisher = Publisher::new();
    let old = publisher.publish(6, 'E');
    publisher.publish(7, 'E');
    {
        let (_, mut refresher) = publisher.enforcer().await;
        refresher.poll().await.unwrap();
        let second = StateFolder::open(&publisher.state(), channel());
        assert!(matches!(second, Err(StateError::Locked(_))), "one folder, one enforcer");
    }
    let aside = publisher.store().with_extension("away");
    fs::rename(publisher.store(), &aside).unwrap();
    {
        let (enforcer, mut refresher) = publisher.enforcer().await;
        assert_eq!(decides_by(&enforcer), Some(7));
        assert_eq!(refused(&mut refresher).await, Code::NotFound);
        assert_eq!(decides_by(&enforcer), Some(7));
    }
    fs::rename(aside, publisher.store()).unwrap();
    publisher.point(&old);
    let (enforcer, mut refresher) = publisher.enforcer().await;
    assert_eq!(refused(&mut refresher).await, Code::SerialReplayed);
    assert_eq!(decides_by(&enforcer), Some(7));
}

#[tokio::test]
async fn a_seed_serves_an_enforcer_that_remembers_nothing_and_is_no_way_back() {
    let publisher = Publisher::new();
    let seed = publisher.store().with_file_name("seed");
    let start = || async { Driven::start(publisher.config(), Some(&seed)).await.unwrap() };
    let serial = |driven: &Driven| driven.enforcer().status().serial;
    assert_eq!(serial(&start().await), None);
    publisher.publish(3, 'E');
    fs::rename(publisher.store(), &seed).unwrap();
    publisher.publish(4, 'E');
    fs::rename(publisher.store(), publisher.store().with_file_name("newer")).unwrap();
    let mut driven = start().await;
    assert_eq!(decides_by(driven.enforcer()), Some(3), "without a store");
    assert!(!publisher.state().join("blobs").exists(), "where it lies");

    // Its serial is one that was seen.
    fs::rename(&seed, publisher.store()).unwrap();
    assert_eq!(driven.refresh().await, Ok(Polled::Unchanged));
    publisher.publish(2, 'E');
    assert_eq!(driven.refresh().await.unwrap_err().code, Code::SerialReplayed);
    fs::rename(publisher.store(), &seed).unwrap();
    fs::rename(publisher.store().with_file_name("newer"), publisher.store()).unwrap();
    assert!(matches!(driven.refresh().await, Ok(Polled::Swapped(id)) if id.serial == 4));
    driven.stop().await.unwrap();
    drop(driven);
    assert_eq!(decides_by(start().await.enforcer()), Some(4), "what is remembered comes first");

    // It is believed no more than a store.
    fs::remove_dir_all(publisher.state()).unwrap();
    fs::write(seed.join("channels/prod.json"), "{").unwrap();
    let driven = start().await;
    assert_eq!((serial(&driven), driven.enforcer().status().last_refusal.is_some()), (None, true));
}

#[tokio::test]
async fn only_the_last_good_release_stays_in_the_state_folder() {
    let publisher = Publisher::new();
    let (_, mut refresher) = publisher.enforcer().await;
    for serial in 1..=3 {
        publisher.publish(serial, ['E', 'U', 'X'][serial as usize - 1]);
        refresher.poll().await.unwrap();
    }
    let count = |folder: &str| fs::read_dir(publisher.state().join(folder)).unwrap().count();
    let code = usize::from(this_machine().is_some());
    assert_eq!((count("blobs/sha256"), count("releases/prod")), (2 + code, 1));
}

#[tokio::test]
async fn a_state_folder_without_this_machines_code_serves_interpreted() {
    let Some(target) = this_machine() else { return };
    let publisher = Publisher::new();
    publisher.publish(1, 'E');
    {
        let (enforcer, mut refresher) = publisher.enforcer().await;
        refresher.poll().await.unwrap();
        assert_eq!(enforcer.status().execution, Some("native"));
        assert!(enforcer.metrics().encode().contains("aecp_release_native 1\n"));
    }
    let code = Artifact::of(&artifacts('E', AuditLevel::None)[target.artifact]);
    fs::remove_file(publisher.state().join(layout::blob(code.digest))).unwrap();
    let (enforcer, _) = publisher.enforcer().await;
    assert_eq!(decides_by(&enforcer), Some(1));
    assert_eq!(enforcer.status().execution, Some("interpreted"));
    assert!(enforcer.metrics().encode().contains("aecp_release_native 0\n"));
}

#[tokio::test]
async fn a_damaged_cache_is_refused_but_its_serial_is_remembered() {
    let publisher = Publisher::new();
    let old = publisher.publish(6, 'E');
    publisher.publish(7, 'E');
    {
        let (_, mut refresher) = publisher.enforcer().await;
        refresher.poll().await.unwrap();
    }
    for blob in fs::read_dir(publisher.state().join("blobs/sha256")).unwrap() {
        fs::write(blob.unwrap().path(), b"damaged").unwrap();
    }
    {
        publisher.point(&old);
        let (enforcer, mut refresher) = publisher.enforcer().await;
        assert_eq!(enforcer.status().status, "no_release");
        assert_eq!(enforcer.status().last_refusal.unwrap().code, "truncated");
        assert_eq!(refused(&mut refresher).await, Code::SerialReplayed);
        assert_eq!(enforcer.snapshot().decide_json(b"{}").reason(), Some(Reason::NoRelease));
        publisher.publish(7, 'E');
    }
    // A serial that cannot be read stops the start: forgetting it would open the way to a rollback.
    let pointer = publisher.state().join(layout::channel(&channel()));
    fs::write(pointer, b"damaged").unwrap();
    let state = StateFolder::open(&publisher.state(), channel()).unwrap();
    assert!(matches!(state.highest(), Err(StateError::Corrupt { .. })));
}

#[tokio::test]
async fn a_successor_root_is_followed_and_remembered() {
    let publisher = Publisher::new();
    publisher.publish(1, 'E');
    {
        let (enforcer, mut refresher) = publisher.enforcer().await;
        refresher.poll().await.unwrap();
        // The second root gives releases to another key alone.
        let (old, new) = (&publisher.key, key(2));
        let only_new = aecp_contract::trust::RootPayload::first(&new.verifying_key(), &[Role::Judicial]);
        let mut second = publisher.root.clone();
        second.version = 2;
        second.keys.extend(only_new.keys.clone());
        second.roles.insert(Role::Judicial, only_new.roles[&Role::Judicial].clone());
        publisher.put(&layout::root(2), &second.sign(&[old]).to_json());
        publisher.publish(2, 'E');
        assert_eq!(refused(&mut refresher).await, Code::UnknownKey, "the old key is withdrawn");
        publisher.publish_as(&new, &release(3), &artifacts('E', AuditLevel::None));
        refresher.poll().await.unwrap();
        assert_eq!(decides_by(&enforcer), Some(3));
    }
    // Whoever removes the new root from the store does not bring the old key back.
    fs::remove_file(publisher.path(&layout::root(2))).unwrap();
    publisher.publish(4, 'E');
    {
        let (enforcer, mut refresher) = publisher.enforcer().await;
        assert_eq!(refused(&mut refresher).await, Code::UnknownKey);
        assert_eq!(decides_by(&enforcer), Some(3));
    }
    // And roots that do not descend from the pinned one stop the start.
    let stranger = key(8);
    let mut foreign = aecp_contract::trust::RootPayload::first(&stranger.verifying_key(), &[Role::Root]);
    foreign.version = 2;
    fs::write(publisher.state().join("root/2.json"), foreign.sign(&[&stranger]).to_json()).unwrap();
    let state = StateFolder::open(&publisher.state(), channel()).unwrap();
    let newest = state.newest_root(&publisher.pinned()).await;
    assert!(matches!(newest, Err(StateError::ForeignRoot { .. })));
}

#[tokio::test]
async fn a_stale_release_denies_and_an_expired_one_shows_a_frozen_store() {
    let publisher = Publisher::new();
    let mut short = release(1);
    (short.expires, short.stale) = (after(4), after(4));
    publisher.publish_as(&publisher.key, &short, &artifacts('E', AuditLevel::None));
    let (enforcer, mut refresher) = publisher.enforcer().await;
    refresher.poll().await.unwrap();
    assert_eq!(decides_by(&enforcer), Some(1));
    while enforcer.status().status == "serving" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(refused(&mut refresher).await, Code::Expired);
    let decided = enforcer.snapshot().decide_json(br#"{"customer.region":"EU"}"#);
    assert_eq!((decided.decision(), decided.reason()), (Decision::Deny, Some(Reason::ReleaseStale)));
    assert_eq!(enforcer.status().status, "release_stale");
    publisher.publish(2, 'E');
    refresher.poll().await.unwrap();
    assert_eq!(decides_by(&enforcer), Some(2));
}

#[tokio::test]
async fn a_state_folder_that_cannot_be_written_does_not_hold_a_release_back() {
    let publisher = Publisher::new();
    publisher.publish(1, 'E');
    let (enforcer, mut refresher) = publisher.enforcer().await;
    refresher.poll().await.unwrap();
    // A file where a folder must be, since permissions do not stop every user.
    fs::remove_dir_all(publisher.state().join("releases")).unwrap();
    fs::write(publisher.state().join("releases"), b"").unwrap();
    publisher.publish(2, 'E');
    refresher.poll().await.unwrap();
    assert_eq!(decides_by(&enforcer), Some(2));
    assert!(enforcer.metrics().encode().contains("aecp_state_write_failures_total 2"));
    fs::remove_file(publisher.state().join("releases")).unwrap();
    refresher.poll().await.unwrap();
    assert_eq!(remembered(&publisher), 2, "as soon as it can be");
}

fn remembered(publisher: &Publisher) -> u64 {
    let bytes = fs::read(publisher.state().join(layout::channel(&channel()))).unwrap();
    ChannelPointer::from_json(&bytes, &channel()).unwrap().serial
}

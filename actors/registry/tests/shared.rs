//! Changes in their order, beside those who read.

use crate::clock::ManualClock;

use super::*;

fn start(folder: &Folder) -> (Arc<SharedRegistry>, Addr<RegistryActor>) {
    let registry = Arc::new(SharedRegistry::new(folder.open()));
    let actor = RegistryActor::new(Arc::clone(&registry), ManualClock::at(NOW), WatchGuard::unwatched());
    (registry, actor.start())
}

fn add(id: &str) -> Add {
    Add { draft: draft(id, "github"), secret: SecretStatus::Found }
}

#[actix::test]
async fn a_change_that_waits_for_the_disk_holds_up_nobody_who_reads() {
    let folder = Folder::with(None);
    let (registry, actor) = start(&folder);
    let (go, gone) = std::sync::mpsc::channel();
    let slow = actix::spawn(Arc::clone(&registry).change(move |_| {
        gone.recv().unwrap();
        Ok(())
    }));
    let next = actor.send(add("gh"));
    assert_eq!(actor.send(Observe).await.unwrap().integrations, 0);
    assert!(actor.send(Get("gh".to_owned())).await.unwrap().is_none());
    go.send(()).unwrap();
    slow.await.unwrap().unwrap();
    next.await.unwrap().unwrap();
    assert!(actor.send(Get("gh".to_owned())).await.unwrap().is_some());
}

#[actix::test]
async fn changes_are_made_in_the_order_they_were_asked_for_and_a_close_waits_for_the_last() {
    let folder = Folder::with(None);
    let (_registry, actor) = start(&folder);
    let ids: Vec<String> = (0..8).map(|n| format!("hook-{n}")).collect();
    let asked: Vec<_> = ids.iter().map(|id| actor.send(add(id))).collect();
    assert_eq!(actor.send(Close).await.unwrap(), Ended::Asked);
    let written: Vec<String> =
        folder.open().list().iter().map(|one| one.record.integration_id.clone()).collect();
    assert_eq!(written, ids);
    for answer in asked {
        answer.await.unwrap().unwrap();
    }
}

#[actix::test]
async fn a_change_that_panics_changes_nothing_and_keeps_no_other_from_its_turn() {
    let folder = Folder::with(None);
    let (registry, actor) = start(&folder);
    let panics = registry.change(|registry| -> Result<(), RegistryError> {
        registry.add(draft("half", "github"), &SecretStatus::Found, NOW)?;
        panic!("a planted panic")
    });
    assert!(actix::spawn(panics).await.unwrap_err().is_panic());
    assert_eq!(actor.send(Observe).await.unwrap().integrations, 0);
    let refused = actor.send(add("gh")).await.unwrap().unwrap_err();
    assert!(matches!(refused, RegistryError::EditedMeanwhile { .. }), "what it wrote is not written over");
    actor.send(Reload).await.unwrap().unwrap();
    actor.send(add("gh")).await.unwrap().unwrap();
}

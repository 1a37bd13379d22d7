//! Unix sockets and their files.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
};

use super::*;

fn socket_path() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("check.sock");
    (folder, path)
}

fn bind(path: &Path) -> Bind {
    Bind::Unix(path.to_path_buf())
}

#[tokio::test]
async fn checks_are_answered_and_the_socket_is_for_its_user_and_group() {
    let (_folder, path) = socket_path();
    let running = Running::start(&format!("unix:{}", path.display()), None).await;
    assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o777, 0o660);
    running.service.may_answer.add_permits(1);
    let channel = running.connect().await.unwrap();
    soon("an answer", check(channel)).await.unwrap();
    running.stop.cancel();
    soon("the end", running.task).await.unwrap();
    assert!(!path.exists(), "the file goes with its listener");
}

#[tokio::test]
async fn what_a_killed_process_left_behind_is_replaced() {
    let (_folder, path) = socket_path();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
    let listener = Listener::bind("check", &bind(&path), None).await.unwrap();
    assert!(UnixStream::connect(&path).await.is_ok());
    drop(listener);
}

#[tokio::test]
async fn another_process_and_another_file_are_left_alone() {
    let (_folder, path) = socket_path();
    let living = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let refused = Listener::bind("check", &bind(&path), None).await.unwrap_err();
    assert!(refused.to_string().contains("another process listens there"), "{refused}");
    drop(living);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    let refused = Listener::bind("check", &bind(&path), None).await.unwrap_err();
    assert!(refused.to_string().contains("something else than a socket"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[tokio::test]
async fn a_successor_s_socket_stays_when_its_predecessor_ends() {
    let (_folder, path) = socket_path();
    let predecessor = Listener::bind("check", &bind(&path), None).await.unwrap();
    fs::remove_file(&path).unwrap();
    let successor = Listener::bind("check", &bind(&path), None).await.unwrap();
    drop(predecessor);
    assert!(UnixStream::connect(&path).await.is_ok());
    drop(successor);
}

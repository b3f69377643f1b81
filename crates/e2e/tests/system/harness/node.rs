//! An embedded node: a system of one process.

use std::{
    ops::{Deref, DerefMut},
    path::PathBuf,
};

use nix::unistd::Pid;
use tonic::transport::Channel;

use super::{
    Ended,
    server::{Server, Setup},
    system::System,
};

/// A running node. Dropping it kills it and removes its data.
pub(crate) struct Node(System);

impl Node {
    /// Starts a node as it is by default.
    pub(crate) async fn start() -> Self {
        Self::set_up(Setup::default()).await
    }

    /// Starts a node with options.
    pub(crate) async fn with(options: &[&str]) -> Self {
        let options = options.iter().map(ToString::to_string).collect();
        Self::set_up(Setup {
            options,
            ..Setup::default()
        })
        .await
    }

    /// Starts a node.
    pub(crate) async fn set_up(setup: Setup) -> Self {
        Self(System::one(setup).await)
    }

    fn server(&self) -> &Server {
        &self.0.servers()[0]
    }

    fn server_mut(&mut self) -> &mut Server {
        &mut self.0.servers_mut()[0]
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.server().data().to_owned()
    }

    /// The process.
    pub(crate) fn pid(&self) -> Pid {
        self.server().pid()
    }

    /// Ends the node at once: SIGKILL.
    pub(crate) async fn kill9(&mut self) {
        self.server_mut().kill9().await;
    }

    /// Asks the node to stop, and waits until it has.
    pub(crate) async fn terminate(&mut self) -> Ended {
        self.server_mut().terminate().await
    }

    /// Starts the node again over the same data and on the same ports.
    pub(crate) async fn restart(&mut self) {
        self.server_mut().restart().await;
    }

    /// The address of all gRPC services.
    pub(crate) fn grpc_url(&self) -> String {
        self.server().grpc_url()
    }

    /// The gRPC port.
    pub(crate) fn grpc_port(&self) -> u16 {
        self.server().grpc().port()
    }

    /// The address of playback.
    pub(crate) fn http_url(&self) -> String {
        self.server().http_url()
    }

    /// The address of health and metrics.
    pub(crate) fn admin_url(&self) -> String {
        self.server().admin_url()
    }

    /// A connection of its own.
    pub(crate) async fn channel(&self) -> Channel {
        self.server().channel().await
    }
}

impl Deref for Node {
    type Target = System;

    fn deref(&self) -> &System {
        &self.0
    }
}

impl DerefMut for Node {
    fn deref_mut(&mut self) -> &mut System {
        &mut self.0
    }
}

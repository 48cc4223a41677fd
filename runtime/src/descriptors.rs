//! Frames with open files, over the socket pair between a parent and its child.
//!
//! The kernel delivers the files no later than the first byte of the frame that they were sent with, and in order, so the
//! receiver takes them when it decodes the message. Only the child receives files: the parent reads its end as plain bytes,
//! and the kernel drops what a child may try to send beside them.

use core::mem::MaybeUninit;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::io::{AsyncRead, AsyncWriteExt, BufWriter, Interest, ReadBuf};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use crate::protocol::Frame;

/// Files of a frame at most.
pub(crate) const MAX_FILES: usize = 5;

/// Frames that are written at once at most.
const MAX_BATCH: usize = 64;

/// The reading end of a socket, with the files that arrived beside its bytes.
#[derive(Debug)]
pub(crate) struct DescriptorReader {
    socket: OwnedReadHalf,
    files: VecDeque<File>,
}

impl DescriptorReader {
    pub(crate) const fn new(socket: OwnedReadHalf) -> Self {
        Self { socket, files: VecDeque::new() }
    }

    /// Returns the next file.
    ///
    /// # Errors
    /// The message that was decoded last came without the file that it needs.
    pub(crate) fn take_file(&mut self) -> io::Result<File> {
        self.files.pop_front().ok_or_else(|| io::Error::other("a message came without its file"))
    }

    fn receive(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        let (socket, files) = (self.socket.as_ref(), &mut self.files);
        socket.try_io(Interest::READABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(buffer.initialize_unfilled())];
            let received = recvmsg(socket.as_fd(), &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                    files.extend(descriptors.map(|descriptor: OwnedFd| File::from(descriptor)));
                }
            }
            buffer.advance(received.bytes);
            Ok(())
        })
    }
}

impl AsyncRead for DescriptorReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.socket.as_ref().poll_read_ready(context))?;
            match self.receive(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

/// Writes frames until all senders are dropped, then closes the socket for writing.
pub(crate) async fn write_all(to: OwnedWriteHalf, mut frames: mpsc::UnboundedReceiver<Frame>) -> io::Result<()> {
    let mut to = BufWriter::new(to);
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while frames.recv_many(&mut batch, MAX_BATCH).await > 0 {
        for frame in batch.drain(..) {
            let sent = match frame.files.is_empty() {
                true => 0,
                false => {
                    to.flush().await?;
                    send_with_files(to.get_ref().as_ref(), &frame).await?
                }
            };
            to.write_all(frame.bytes.get(sent..).unwrap_or_default()).await?;
        }
        to.flush().await?;
    }
    to.shutdown().await
}

/// Sends the first bytes of a frame, and all its files. Returns the number of bytes.
async fn send_with_files(socket: &UnixStream, frame: &Frame) -> io::Result<usize> {
    let send = || {
        let descriptors: Vec<BorrowedFd<'_>> = frame.files.iter().map(|file| Arc::as_ref(file).as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::Error::other("a frame has more files than it may have"));
        }
        Ok(sendmsg(socket, &[IoSlice::new(&frame.bytes)], &mut control, SendFlags::NOSIGNAL)?)
    };
    socket.async_io(Interest::WRITABLE, send).await
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use tokio::io::BufReader;

    use super::*;
    use crate::protocol::{self, ToHost};

    fn file_with(text: &str) -> Arc<File> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        Arc::new(file)
    }

    #[tokio::test]
    async fn messages_arrive_whole_and_in_order_each_with_its_file() {
        let (here, there) = UnixStream::pair().expect("a pair");
        let (send, frames) = mpsc::unbounded_channel();
        for id in 0..200 {
            let mut frame = protocol::frame(&ToHost::Taken { id }).expect("small");
            if id % 3 == 0 {
                frame = frame.with_file(&file_with(&id.to_string()));
            }
            send.send(frame).expect("open");
        }
        drop(send);
        // the halves of both ends must live until the end
        let (read, _write) = here.into_split();
        let (_read, write) = there.into_split();
        let writer = tokio::spawn(write_all(write, frames));
        let mut read = BufReader::new(DescriptorReader::new(read));
        for expected in 0..200 {
            let message = protocol::read(&mut read).await.expect("readable");
            assert!(matches!(message, Some(ToHost::Taken { id }) if id == expected));
            if expected % 3 == 0 {
                let (mut file, mut text) = (read.get_mut().take_file().expect("its file"), String::new());
                file.rewind().expect("at the start");
                file.read_to_string(&mut text).expect("read");
                assert_eq!(text, expected.to_string());
            }
        }
        assert!(read.get_mut().take_file().is_err(), "one file each");
        assert!(protocol::read::<ToHost>(&mut read).await.expect("closed in order").is_none());
        writer.await.expect("no panic").expect("written");
    }
}

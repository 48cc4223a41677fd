//! The module `_bue_net`: the network and the bucket as plain functions. There is no policy here; `lib/` builds on it what Python's
//! libraries expect.
//!
//! | function | returns |
//! | --- | --- |
//! | `start(method, origin, target, headers, body, connect_timeout, read_timeout)` | the ticket of an exchange |
//! | `start_bytes(data, origin, connect_timeout)` | `(exchange, length, is HEAD, body)` of the HTTP/1.1 request at the beginning of `data` |
//! | `plain_headers(headers)` | `(pairs, has Host, has Accept-Encoding)` of a dict of headers that can be sent as they are, or `None` |
//! | `write(exchange, data, last)` | a ticket |
//! | `read(exchange, max_bytes, timeout)` | a ticket |
//! | `connect(host, port, timeout)` | the ticket of an exchange, a TCP connection |
//! | `start_tls(exchange, server_name, authorities, default_authorities, protocols)` | a ticket |
//! | `allows_tcp(host, port)` | does the script allow this connection? |
//! | `secret(name)` | a ticket |
//! | `open_value(name, max_bytes)` | the ticket of an exchange, a value of the bucket |
//! | `store_value(name, expires_s)` | the ticket of an exchange, a value that is sent with `write` |
//! | `delete_value(name)` | the ticket of an exchange that ends at once |
//! | `wait(tickets, timeout)` | `[(ticket, what, value), ...]` of at least one completed operation, or `[]` on timeout |
//! | `close(exchange)` | `None` |
//!
//! `origin` is `scheme://host:port`; `headers` is a list of pairs of `str` or `bytes`; `body` is `None`, bytes, or `True` if
//! it is sent with `write`. `authorities` are certificates in PEM format. Timeouts are in seconds; `None` means no timeout.
//!
//! | what | value |
//! | --- | --- |
//! | `"response"` | `(status, version, reason, [(name, value), ...], first bytes of the body, is the body complete)` |
//! | `"data"` | `(bytes, is the body complete)` |
//! | `"wrote"` | `None` |
//! | `"connected"` | `None` |
//! | `"secured"` | `(version, cipher, protocol or None, certificate in DER format)` |
//! | `"secret"` | `str` |
//! | `"missing"` | `None`: there is no such value |
//! | `"failed"` | `(kind, message)`; the kinds are those of `NetErrorKind::name` |

use core::cell::RefCell;

use bue_model::NetRule;
use rustpython_vm::Context;
use rustpython_vm::builtins::PyModuleDef;

thread_local! {
    /// What the script allows with `!allow tcp`.
    static TCP_RULES: RefCell<Vec<NetRule>> = const { RefCell::new(Vec::new()) };
}

/// Sets where the step's sockets are TCP connections.
pub(crate) fn set_tcp_rules(rules: Vec<NetRule>) {
    TCP_RULES.replace(rules);
}

/// The definition of the module, for the interpreter's builder.
pub(crate) fn module(context: &Context) -> &'static PyModuleDef {
    _bue_net::module_def(context)
}

#[rustpython_vm::pymodule]
mod _bue_net {
    use bue_guest_contract::host;
    use bue_model::guest::{Completions, HostRequest};
    use bue_model::net::{Body, Completion, Operation, Request, Response, TlsSession, TlsSettings};
    use bytes::Bytes;

    use crate::request_head::{BodyLen, Head, is_framing, plain_value};
    use crate::value::stream::send_waiting;
    use rustpython_vm::builtins::{PyBaseExceptionRef, PyDictRef, PyListRef, PyStr, PyUtf8StrRef};
    use rustpython_vm::convert::ToPyObject;
    use rustpython_vm::function::{ArgBytesLike, ArgIntoFloat, OptionalArg};
    use rustpython_vm::{AsObject, FromArgs, PyObject, PyObjectRef, PyResult, TryFromObject, VirtualMachine};

    /// Timeouts from here on are the same as none: no step may run for so long.
    const MAX_TIMEOUT_MS: f64 = 1e15;

    #[derive(FromArgs)]
    struct StartArgs {
        #[pyarg(any)]
        method: PyUtf8StrRef,
        #[pyarg(any)]
        origin: PyUtf8StrRef,
        #[pyarg(any)]
        target: PyUtf8StrRef,
        #[pyarg(any)]
        headers: PyListRef,
        #[pyarg(any, optional)]
        body: OptionalArg<PyObjectRef>,
        #[pyarg(any, optional)]
        connect_timeout: OptionalArg<Option<ArgIntoFloat>>,
        #[pyarg(any, optional)]
        read_timeout: OptionalArg<Option<ArgIntoFloat>>,
    }

    #[pyfunction]
    fn start(args: StartArgs, vm: &VirtualMachine) -> PyResult<u64> {
        let items = args.headers.borrow_vec().to_vec();
        let headers = items.iter().map(|pair| header(pair, vm)).collect::<PyResult<_>>()?;
        start_operation(
            Operation::Request(Request {
                method: args.method.as_str().to_owned(),
                origin: args.origin.as_str().to_owned(),
                target: args.target.as_str().to_owned(),
                headers,
                body: body(args.body.into_option(), vm)?,
                connect_timeout_ms: timeout_ms(args.connect_timeout),
                read_timeout_ms: timeout_ms(args.read_timeout),
            }),
            vm,
        )
    }

    /// Starts a request that a library has written as bytes. Returns `None` if it is not complete, otherwise its length and what
    /// of its body is to be sent with `write`: `None`, the length, or -1 if it is in chunks.
    #[pyfunction]
    fn start_bytes(
        data: ArgBytesLike,
        origin: PyUtf8StrRef,
        connect_timeout: OptionalArg<Option<ArgIntoFloat>>,
        vm: &VirtualMachine,
    ) -> PyResult {
        let data = data.borrow_buf();
        let Some(head) = Head::parse(&data) else { return Ok(vm.ctx.none()) };
        let (len, remaining) = (head.len, head.body_len().map_err(|message| vm.new_value_error(message))?);
        let (body, len, remaining) = match remaining {
            BodyLen::Whole(0) => (Body::None, len, None),
            BodyLen::Whole(body_len) => match data.get(len..len + body_len) {
                Some(body) => (Body::Whole(Bytes::copy_from_slice(body)), len + body_len, None),
                None => return Ok(vm.ctx.none()),
            },
            BodyLen::Streamed(body_len) => (Body::Streamed, len, Some(body_len)),
        };
        let is_head = head.method == "HEAD";
        let operation = Operation::Request(Request {
            method: head.method,
            origin: origin.as_str().to_owned(),
            target: head.target,
            headers: head.headers,
            body,
            connect_timeout_ms: timeout_ms(connect_timeout),
            read_timeout_ms: None,
        });
        Ok((start_operation(operation, vm)?, len, is_head, remaining).to_pyobject(vm))
    }

    /// Checks and encodes headers as `http.client` does. Returns `None` if it would refuse one or encode it in another way, or if one
    /// says how the body is sent.
    #[pyfunction]
    fn plain_headers(headers: PyDictRef, vm: &VirtualMachine) -> PyObjectRef {
        let (mut pairs, mut has_host, mut has_encoding) = (Vec::new(), false, false);
        for (name, value) in headers.items_vec() {
            let (Some(name_text), Some(value)) = (exact_text(&name, vm), exact_text(&value, vm)) else {
                return vm.ctx.none();
            };
            let Some(value) = plain_value(name_text, value).filter(|_| !is_framing(name_text)) else {
                return vm.ctx.none();
            };
            has_host |= name_text.eq_ignore_ascii_case("host");
            has_encoding |= name_text.eq_ignore_ascii_case("accept-encoding");
            pairs.push((name, vm.ctx.new_bytes(value)).to_pyobject(vm));
        }
        (vm.ctx.new_list(pairs), has_host, has_encoding).to_pyobject(vm)
    }

    /// The text of a `str`, and of no subclass, if it is Unicode.
    fn exact_text<'a>(object: &'a PyObject, vm: &VirtualMachine) -> Option<&'a str> {
        object.downcast_ref_if_exact::<PyStr>(vm)?.to_str()
    }

    #[pyfunction]
    fn write(exchange: u64, data: ArgBytesLike, last: bool, vm: &VirtualMachine) -> PyResult<u64> {
        start_operation(Operation::Write { exchange, bytes: copy(&data), last }, vm)
    }

    #[pyfunction]
    fn read(
        exchange: u64,
        max_bytes: OptionalArg<u32>,
        timeout: OptionalArg<Option<ArgIntoFloat>>,
        vm: &VirtualMachine,
    ) -> PyResult<u64> {
        let max = max_bytes.unwrap_or(64 * 1024);
        start_operation(Operation::Read { exchange, max, timeout_ms: timeout_ms(timeout) }, vm)
    }

    #[pyfunction]
    fn connect(
        host: PyUtf8StrRef,
        port: u16,
        timeout: OptionalArg<Option<ArgIntoFloat>>,
        vm: &VirtualMachine,
    ) -> PyResult<u64> {
        start_operation(
            Operation::Connect { host: host.as_str().to_owned(), port, timeout_ms: timeout_ms(timeout) },
            vm,
        )
    }

    #[pyfunction]
    fn start_tls(
        exchange: u64,
        server_name: PyUtf8StrRef,
        authorities: ArgBytesLike,
        default_authorities: bool,
        protocols: PyListRef,
        vm: &VirtualMachine,
    ) -> PyResult<u64> {
        let protocols = protocols.borrow_vec().to_vec();
        let name = |protocol| PyUtf8StrRef::try_from_object(vm, protocol).map(|name| name.as_str().to_owned());
        let settings = TlsSettings {
            server_name: server_name.as_str().to_owned(),
            authorities: copy(&authorities),
            default_authorities,
            protocols: protocols.into_iter().map(name).collect::<PyResult<_>>()?,
        };
        start_operation(Operation::StartTls { exchange, settings }, vm)
    }

    #[pyfunction]
    fn allows_tcp(host: PyUtf8StrRef, port: u16) -> bool {
        super::TCP_RULES.with_borrow(|rules| rules.iter().any(|rule| rule.names(host.as_str(), port)))
    }

    #[pyfunction]
    fn secret(name: PyUtf8StrRef, vm: &VirtualMachine) -> PyResult<u64> {
        start_operation(Operation::Secret { name: name.as_str().to_owned() }, vm)
    }

    #[pyfunction]
    fn open_value(name: PyUtf8StrRef, max_bytes: u32, vm: &VirtualMachine) -> PyResult<u64> {
        start_operation(Operation::OpenValue { name: name.as_str().to_owned(), max: max_bytes }, vm)
    }

    #[pyfunction]
    fn store_value(name: PyUtf8StrRef, expires_s: Option<u64>, vm: &VirtualMachine) -> PyResult<u64> {
        start_operation(Operation::StoreValue { name: name.as_str().to_owned(), expires_s }, vm)
    }

    #[pyfunction]
    fn delete_value(name: PyUtf8StrRef, vm: &VirtualMachine) -> PyResult<u64> {
        start_operation(Operation::DeleteValue { name: name.as_str().to_owned() }, vm)
    }

    #[pyfunction]
    fn wait(
        tickets: PyObjectRef,
        timeout: OptionalArg<Option<ArgIntoFloat>>,
        vm: &VirtualMachine,
    ) -> PyResult<Vec<PyObjectRef>> {
        let tickets = vm.extract_elements_with(&tickets, |ticket| u64::try_from_object(vm, ticket))?;
        let timeout_ms = timeout_ms(timeout);
        if timeout_ms != Some(0) {
            send_waiting();
        }
        let completions: Completions =
            host::request(&HostRequest::Wait { tickets, timeout_ms }).ok_or_else(|| bad_reply(vm))?;
        Ok(completions.into_iter().map(|(ticket, completion)| completed_operation(ticket, completion, vm)).collect())
    }

    #[pyfunction]
    fn close(exchange: u64) {
        host::notify(&HostRequest::Close { exchange }, 0);
    }

    fn start_operation(operation: Operation, vm: &VirtualMachine) -> PyResult<u64> {
        host::request(&HostRequest::Start(operation)).ok_or_else(|| bad_reply(vm))
    }

    fn bad_reply(vm: &VirtualMachine) -> PyBaseExceptionRef {
        vm.new_runtime_error("the host's reply cannot be read")
    }

    fn header(pair: &PyObject, vm: &VirtualMachine) -> PyResult<(String, Bytes)> {
        let (name, value) = (pair.get_item(&0, vm)?, pair.get_item(&1, vm)?);
        let name = header_bytes(&name, vm)?;
        let name = String::from_utf8(name).map_err(|_| vm.new_value_error("the name of a header is not ASCII"))?;
        Ok((name, header_bytes(&value, vm)?.into()))
    }

    /// Bytes unchanged; text as Latin-1, the encoding of headers, or as UTF-8 if Latin-1 cannot represent it.
    fn header_bytes(value: &PyObject, vm: &VirtualMachine) -> PyResult<Vec<u8>> {
        let Some(text) = value.downcast_ref::<PyStr>() else {
            return Ok(ArgBytesLike::try_from_object(vm, value.to_owned())?.borrow_buf().to_vec());
        };
        let text = text.to_string_lossy();
        let latin1: Option<Vec<u8>> = text.chars().map(|char| u8::try_from(u32::from(char)).ok()).collect();
        Ok(latin1.unwrap_or_else(|| text.as_bytes().to_vec()))
    }

    fn body(value: Option<PyObjectRef>, vm: &VirtualMachine) -> PyResult<Body> {
        match value {
            None => Ok(Body::None),
            Some(value) if vm.is_none(&value) => Ok(Body::None),
            Some(value) if value.is(&vm.ctx.true_value) => Ok(Body::Streamed),
            Some(value) => Ok(Body::Whole(copy(&ArgBytesLike::try_from_object(vm, value)?))),
        }
    }

    fn copy(data: &ArgBytesLike) -> Bytes {
        Bytes::copy_from_slice(&data.borrow_buf())
    }

    fn timeout_ms(seconds: OptionalArg<Option<ArgIntoFloat>>) -> Option<u64> {
        let seconds = seconds.into_option().flatten()?.into_float();
        let millis = (seconds * 1000.0).ceil();
        // NaN means no timeout too
        if millis >= MAX_TIMEOUT_MS || millis.is_nan() {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and MAX_TIMEOUT_MS")]
        Some(millis.max(0.0) as u64)
    }

    fn completed_operation(ticket: u64, completion: Completion, vm: &VirtualMachine) -> PyObjectRef {
        let (what, value) = match completion {
            Completion::Response(response) => ("response", response_tuple(response, vm)),
            Completion::Written => ("wrote", vm.ctx.none()),
            Completion::Data { bytes, last } => ("data", (vm.ctx.new_bytes(bytes.to_vec()), last).to_pyobject(vm)),
            Completion::Secret(text) => ("secret", text.to_pyobject(vm)),
            Completion::Connected => ("connected", vm.ctx.none()),
            Completion::Missing => ("missing", vm.ctx.none()),
            Completion::Secured(session) => ("secured", session_tuple(session, vm)),
            Completion::Failed(error) => ("failed", (error.kind.name(), error.message).to_pyobject(vm)),
        };
        (ticket, what, value).to_pyobject(vm)
    }

    fn response_tuple(response: Response, vm: &VirtualMachine) -> PyObjectRef {
        let headers = response.headers.into_iter().map(|(name, value)| (name, decode_latin1(&value)).to_pyobject(vm));
        let headers = vm.ctx.new_list(headers.collect());
        let body = vm.ctx.new_bytes(response.body.to_vec());
        (response.status, response.version, response.reason, headers, body, response.last).to_pyobject(vm)
    }

    fn session_tuple(session: TlsSession, vm: &VirtualMachine) -> PyObjectRef {
        let certificate = vm.ctx.new_bytes(session.certificate.to_vec());
        (session.version, session.cipher, session.protocol, certificate).to_pyobject(vm)
    }

    /// Decoded as `http.client` decodes headers.
    fn decode_latin1(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| char::from(*byte)).collect()
    }
}

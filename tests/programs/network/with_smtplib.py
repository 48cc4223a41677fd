"""`smtplib` and `email`: in the clear, after STARTTLS, and with TLS from the beginning."""

import smtplib
import ssl
from email.message import EmailMessage


def place(at, name):
    host, port = at[name].rsplit(":", 1)
    return host, int(port)


def mail(text):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "step@example.com", "you@example.com", text
    message.set_content(f"sent {text}\n")
    message.add_attachment(b"\0" * 100_000, maintype="application", subtype="octet-stream", filename="zeros")
    return message


# gives: {}
def a_mail_is_sent_in_the_clear(at):
    with smtplib.SMTP(*place(at, "smtp"), timeout=60) as client:
        return client.send_message(mail("in the clear"))


# gives: [{}, true]
def a_mail_is_sent_after_starttls(at):
    with smtplib.SMTP(*place(at, "smtp")) as client:
        client.starttls(context=ssl.create_default_context(cadata=at["ca"]))
        has_tls = client.sock.version() == "TLSv1.3"
        return [client.send_message(mail("after STARTTLS")), has_tls]


# gives: {}
def a_mail_is_sent_with_tls(at):
    with smtplib.SMTP_SSL(*place(at, "smtps"), context=ssl.create_default_context()) as client:
        return client.send_message(mail("from the beginning"))


# gives: ["SSLError", 500, true]
def errors_are_those_of_the_library(at):
    def error_of(work):
        try:
            return work()
        except OSError as error:
            return type(error).__name__

    def untrusted():
        with smtplib.SMTP(*place(at, "smtp")) as client:
            client.starttls(context=ssl.create_default_context(cadata=at["other_ca"]))

    with smtplib.SMTP(*place(at, "smtp")) as client:
        unknown = client.docmd("NOPE")[0]
    try:
        smtplib.SMTP("127.0.0.9", 25)
    except smtplib.SMTPServerDisconnected as error:
        named = "`!allow tcp 127.0.0.9:25`" in str(error)
    return [error_of(untrusted), unknown, named]

//! Everything from the outside: the real `bue` binary, real servers, real sandboxes.

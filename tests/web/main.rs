//! The dashboard in a real browser: Debian's Chromium, driven through WebDriver, and real `bue` processes behind it.
//!
//! ```text
//! driver         chromedriver, which starts browsers and ends with this process
//! browser        a browser: pages, clicks, keys, and what pages write to the console
//! http           the client for both WebDriver and the hub
//! site           a hub with workers, and runs in every state
//! pages          every page renders, light and dark, on 400 pixels, and without scripts
//! accessibility  axe finds nothing serious on any page
//! actions        every button, from the click to the hub's state
//! schedules      the same for schedules, backfills, pipelines and errors
//! login          tokens, links that hold once, sessions that end
//! roles          what each role is shown, and what it is refused regardless
//! live           counts and logs change while one looks
//! keyboard       everything without a mouse
//! hostile        texts of others are texts
//! outage         the hub is killed and comes back
//! large          many jobs
//! pictures       the pictures of the documentation
//! ```
//! A test fails if a page writes an error to the console, unless the test expects it. A violation of the content security policy is
//! one.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod accessibility;
mod actions;
mod browser;
mod driver;
mod hostile;
mod http;
mod keyboard;
mod large;
mod live;
mod login;
mod outage;
mod pages;
mod pictures;
mod roles;
mod schedules;
mod site;

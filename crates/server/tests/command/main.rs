//! The real `grantor` program, as an operator types it.
//!
//! `cfg(test)` stands at each file because clippy lets tests unwrap, and asks no more than that.

#[cfg(test)]
mod activity;
#[cfg(test)]
mod acts;
#[cfg(test)]
mod basic;
#[cfg(test)]
mod client;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod customer;
#[cfg(test)]
mod dev;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod house;
#[cfg(test)]
mod init;
#[cfg(test)]
mod key;
#[cfg(test)]
mod manager;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod postman;
#[cfg(test)]
mod programme;
#[cfg(test)]
mod serve;
#[cfg(test)]
mod taken_back;

//! The stores and the files in them, from outside: one suite that every store passes (`suite`), each store by
//! itself, crashes and full disks, and files that lie.

#[cfg(test)]
mod crafted;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod dag;
#[cfg(test)]
mod embedded;
#[cfg(test)]
mod files;
#[cfg(test)]
mod inventory;
#[cfg(test)]
mod kubo;
#[cfg(test)]
mod large;
#[cfg(test)]
mod packs;
#[cfg(test)]
mod place;
#[cfg(test)]
mod suite;

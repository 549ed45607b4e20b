//! How operators connect: graphs, each one function that reads top to bottom.

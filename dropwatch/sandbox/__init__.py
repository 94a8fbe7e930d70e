"""An OMERO server and a mail server for trying and testing: real Ice, real SMTP, no installation."""

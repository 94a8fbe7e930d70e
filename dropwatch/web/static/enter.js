/* Uses a sign-in link. Programs that only look at links (previews of chats and mails) run no script and use none up. */
document.forms[0].submit();

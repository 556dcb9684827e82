"use strict";
// The page works without this. It takes the token out of the address bar and
// offers to show the passwords.
(function () {
  var address = document.body.dataset.address;
  if (address) {
    history.replaceState(null, "", address);
  }
  var reveal = document.getElementById("reveal");
  if (!reveal) {
    return;
  }
  function show() {
    document.querySelectorAll("input[autocomplete='new-password']").forEach(function (input) {
      input.type = reveal.checked ? "text" : "password";
    });
  }
  reveal.checked = false;
  reveal.closest("label").hidden = false;
  reveal.addEventListener("change", show);
  // Browsers remember what was typed into fields of type text.
  reveal.form.addEventListener("submit", function () {
    reveal.checked = false;
    show();
  });
})();

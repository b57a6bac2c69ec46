document.getElementById("root").textContent = "…";

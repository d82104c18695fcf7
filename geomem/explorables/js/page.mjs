// The static page's entry: a classic script, because modules do not load over file://.
import { boot } from "./main.mjs";
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", boot);
else boot();

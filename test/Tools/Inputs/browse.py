"""Opens a report in a headless browser without network, tries its controls, and
prints what is on the page: browse.py report.html chromium"""

import json
import re
import subprocess
import sys
import tempfile

PROBE = r"""
<script>
const seen = {errors: window.probeErrors, ready: document.body.dataset.ready};
try {
  seen.before = $('cards').textContent;
  for (const id of ['mixA', 'mixB', 'context', 'batch', 'device', 'axisX', 'axisY'])
    for (const option of [...$(id).options]) {
      $(id).value = option.value;
      $(id).dispatchEvent(new Event('change'));
    }
  document.querySelector('#rows th:nth-child(6)').click();
  document.querySelector('#rows th:nth-child(6)').click();
  const point = document.querySelector('[data-pick]');
  point.dispatchEvent(new Event('click'));
  const mark = document.querySelector('#roofline circle');
  mark.dispatchEvent(new MouseEvent('mousemove', {bubbles: true}));
  seen.tip = $('tip').textContent.replaceAll('\n', ', ');
  seen.svgs = [...document.querySelectorAll('main svg')].length;
  seen.numbersThatAreNone = (document.querySelector('main').innerHTML.match(/NaN|undefined|Infinity/g) || []).length;
  for (const id of ['strip', 'cacheCurve', 'timeCurve', 'roofline', 'shares', 'masks', 'pareto'])
    seen[id] = $(id).querySelectorAll('rect, circle, path, line').length;
  seen.diffRows = $('diff').querySelectorAll('tr').length;
  seen.rows = $('rows').querySelectorAll('tr').length - 1;
  seen.refused = $('refused').children.length;
  seen.overflow = document.documentElement.scrollWidth > innerWidth;
} catch (error) { seen.errors.push(String(error)); }
document.body.dataset.seen = JSON.stringify(seen);
</script>
"""
HANDLER = ("<script>window.probeErrors = []; window.onerror = (message) => "
           "{ window.probeErrors.push(message); };</script>")

with open(sys.argv[1], encoding="utf-8") as file:
    page = file.read()
page = page.replace("<head>", "<head>" + HANDLER, 1)
page = page.replace("</body>", PROBE + "</body>", 1)
with tempfile.TemporaryDirectory() as folder:
    path = folder + "/page.html"
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)
    dom = subprocess.run(
        [sys.argv[2], "--headless=new", "--no-sandbox", "--disable-gpu",
         "--user-data-dir=" + folder + "/profile", "--window-size=1280,900",
         "--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom", "file://" + path],
        check=True, capture_output=True, text=True, timeout=100).stdout
seen = re.search(r'data-seen="([^"]*)"', dom)
seen = json.loads(seen.group(1).replace("&quot;", '"').replace("&amp;", "&"))
for name, value in seen.items():
    print(f"{name}: {value}")

// Values under the pointer on charts, and tables that sort. The page reads well without it.
'use strict';
for (const svg of document.querySelectorAll('svg[data-chart]')) {
  const data = JSON.parse(svg.dataset.chart), [left, top, right, bottom] = data.box;
  const make = name => document.createElementNS(svg.namespaceURI, name);
  const panel = svg.closest('.panel'), tip = document.createElement('div'), cross = make('line');
  tip.className = 'tip'; tip.hidden = true; panel.append(tip);
  cross.setAttribute('class', 'cross'); cross.setAttribute('y1', top); cross.setAttribute('y2', bottom);
  const leave = () => { tip.hidden = true; cross.remove(); };
  svg.addEventListener('pointerleave', leave);
  svg.addEventListener('pointermove', event => {
    const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale;
    if (x < left - 8 || x > right + 8) return leave();
    const nearest = data.lines.map(line => {
      let best = 0;
      line.at.forEach((p, i) => { if (Math.abs(p[0] - x) < Math.abs(line.at[best][0] - x)) best = i; });
      return {line, at: line.at[best], is: line.is[best]};
    });
    const first = nearest.reduce((a, b) => Math.abs(a.at[0] - x) <= Math.abs(b.at[0] - x) ? a : b);
    cross.setAttribute('x1', first.at[0]); cross.setAttribute('x2', first.at[0]);
    svg.append(cross);
    const same = nearest.filter(n => Math.abs(n.at[0] - first.at[0]) < 6);
    tip.textContent = data.x + ' ' + first.is[0] + same.map(n => '\n' + n.line.name + '  ' + n.is[1]).join('');
    tip.hidden = false;
    const home = panel.getBoundingClientRect(), place = box.left - home.left + first.at[0] / scale;
    const flip = place + tip.offsetWidth + 16 > home.width;
    tip.style.left = (flip ? place - tip.offsetWidth - 10 : place + 10) + 'px';
    tip.style.top = (event.clientY - home.top + 12) + 'px';
  });
}
for (const table of document.querySelectorAll('table.sortable')) {
  table.querySelectorAll('thead th').forEach((th, column) => {
    const button = document.createElement('button');
    button.type = 'button'; button.append(...th.childNodes); th.append(button);
    button.addEventListener('click', () => {
      const value = row => row.cells[column].dataset.v ?? row.cells[column].textContent;
      const rows = [...table.tBodies[0].rows], numeric = rows.every(row => value(row) !== '' && !isNaN(value(row)));
      const down = th.getAttribute('aria-sort') ? th.getAttribute('aria-sort') === 'ascending' : numeric;
      rows.sort((a, b) => numeric ? value(a) - value(b) : value(a).localeCompare(value(b)));
      if (down) rows.reverse();
      table.querySelectorAll('th').forEach(other => other.removeAttribute('aria-sort'));
      th.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      table.tBodies[0].append(...rows);
    });
  });
}

// A list of files and folders to choose from: only the rows in sight are in the page, so that ten thousand of them
// stay fluid. It shows what it is given and reports what was done by the id of a row; it knows no path.
const HEIGHT = 40; // pixels of a row
const BEYOND = 12; // rows that are kept above and below those in sight

const BY = {
  name: (a, b) => ORDER.compare(a.label, b.label),
  size: (a, b) => (b.bytes ?? -1) - (a.bytes ?? -1) || ORDER.compare(a.label, b.label),
  changed: (a, b) => (b.changed ?? 0) - (a.changed ?? 0) || ORDER.compare(a.label, b.label),
};
const ORDER = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

export default {
  template: `
    <div class="dw-picks" :class="{ 'dw-picks-away': away }">
      <div class="dw-picks-head">
        <input type="checkbox" :checked="all" :indeterminate="some && !all" :disabled="!choosable.length || whole"
          aria-label="Choose everything that is shown" @change="chooseAll($event.target.checked)">
        <button v-for="one in columns" :key="one.key" type="button" :class="'dw-picks-' + one.key"
          :aria-pressed="by === one.key" @click="by = one.key">
          {{ one.text }}<span aria-hidden="true" v-if="by === one.key"> {{ one.sign }}</span>
        </button>
      </div>
      <div ref="grid" class="dw-picks-rows" role="grid" aria-multiselectable="true" tabindex="0" :aria-label="label"
        :aria-rowcount="sorted.length" :aria-busy="away" :aria-activedescendant="active ? rowId(active) : null"
        @scroll="look" @keydown="key" @focus="begin">
        <div role="presentation" :style="{ height: sorted.length * ${HEIGHT} + 'px', position: 'relative' }">
          <div v-for="{ row, at } in visible" :key="row.id" :id="rowId(row)" role="row" :aria-rowindex="at + 1"
            :aria-selected="isOn(row)" :aria-disabled="row.refused ? true : null" class="dw-pick"
            :class="{ 'dw-pick-active': active === row, 'dw-pick-on': isOn(row), 'dw-pick-refused': row.refused }"
            :style="{ top: at * ${HEIGHT} + 'px' }" @click="click($event, row, at)">
            <span role="gridcell" class="dw-pick-box"><input type="checkbox" tabindex="-1" :checked="isOn(row)"
              :indeterminate="!isOn(row) && partly.has(row.id)" :disabled="!!row.refused || whole"
              :aria-label="'Choose ' + row.label"></span>
            <span role="gridcell" class="dw-picks-name">
              <span class="material-icons" aria-hidden="true">{{ row.folder ? 'folder' : row.refused ? 'block' : 'insert_drive_file' }}</span>
              <button v-if="row.folder && !row.refused" type="button" tabindex="-1" class="dw-pick-open" :title="'Open ' + row.label"
                @click.stop="open(row)">{{ row.label }}</button>
              <span v-else :title="row.label" class="dw-pick-label">{{ row.label }}</span>
              <span v-if="row.note" class="dw-pick-note">{{ row.note }}</span>
            </span>
            <span role="gridcell" class="dw-picks-size">{{ row.sizeText }}</span>
            <span role="gridcell" class="dw-picks-changed">{{ row.changedText }}</span>
          </div>
        </div>
        <p v-if="!sorted.length && !away" class="dw-picks-none">{{ none }}</p>
      </div>
    </div>`,
  props: { label: String },
  emits: ["choose", "open", "up"],
  data() {
    return {
      rows: [],
      none: "",
      away: true,
      whole: false,
      on: new Set(),
      partly: new Set(),
      by: "name",
      active: null,
      from: null,
      top: 0,
      high: 400,
      columns: [
        { key: "name", text: "Name", sign: "↑" },
        { key: "size", text: "Size", sign: "↓" },
        { key: "changed", text: "Last change", sign: "↓" },
      ],
    };
  },
  computed: {
    sorted() {
      return [...this.rows].sort((a, b) => b.folder - a.folder || BY[this.by](a, b));
    },
    visible() {
      const first = Math.max(0, Math.floor(this.top / HEIGHT) - BEYOND);
      const last = Math.ceil((this.top + this.high) / HEIGHT) + BEYOND;
      const shown = this.sorted.slice(first, last).map((row, index) => ({ row, at: first + index }));
      const at = this.active ? this.sorted.indexOf(this.active) : -1;
      // The row that the keyboard is at has to be there for a screen reader, wherever the mouse scrolled to.
      if (at >= 0 && (at < first || at >= last)) shown.push({ row: this.active, at });
      return shown;
    },
    choosable() {
      return this.rows.filter((row) => !row.refused);
    },
    all() {
      return this.whole || (this.choosable.length > 0 && this.choosable.every((row) => this.on.has(row.id)));
    },
    some() {
      return this.on.size > 0 || this.partly.size > 0;
    },
  },
  mounted() {
    this.measured = new ResizeObserver(() => this.look());
    this.measured.observe(this.$refs.grid);
  },
  unmounted() {
    this.measured.disconnect();
  },
  methods: {
    wait() {
      this.away = true;
    },
    show({ rows, none, at }) {
      this.rows = rows;
      this.none = none;
      this.away = false;
      this.from = null;
      this.active = this.rows.find((row) => row.id === at) ?? null;
      this.$nextTick(() => {
        this.$refs.grid.scrollTop = 0;
        this.look();
        if (this.active) this.go(this.sorted.indexOf(this.active));
      });
    },
    mark({ on, partly, whole }) {
      this.on = new Set(on);
      this.partly = new Set(partly);
      this.whole = whole;
    },
    look() {
      this.top = this.$refs.grid.scrollTop;
      this.high = this.$refs.grid.clientHeight;
    },
    rowId(row) {
      return `${this.$el?.id || "files"}-${row.id}`.replace(":", "-");
    },
    isOn(row) {
      return !row.refused && (this.whole || this.on.has(row.id));
    },
    begin() {
      if (!this.active && this.sorted.length) this.active = this.sorted[Math.ceil(this.$refs.grid.scrollTop / HEIGHT)];
    },
    choose(rows, on) {
      const meant = rows.filter((row) => !row.refused && this.isOn(row) !== on);
      if (this.whole || !meant.length) return;
      for (const row of meant) on ? this.on.add(row.id) : this.on.delete(row.id);
      this.$emit("choose", { ids: meant.map((row) => row.id), on });
    },
    chooseAll(on) {
      this.choose(this.choosable, on);
    },
    click(event, row, at) {
      const last = this.from === null ? -1 : this.sorted.indexOf(this.from);
      this.active = row;
      if (event.shiftKey && last >= 0) {
        const between = this.sorted.slice(Math.min(last, at), Math.max(last, at) + 1);
        this.choose(between, !this.isOn(row));
        window.getSelection().removeAllRanges();
      } else {
        this.choose([row], !this.isOn(row));
      }
      this.from = row;
      // The browser ticked its box before we knew; what is shown is what we hold.
      this.$nextTick(() => event.target.type === "checkbox" && (event.target.checked = this.isOn(row)));
    },
    open(row) {
      if (row?.folder && !row.refused && !this.away) {
        this.away = true;
        this.$emit("open", row.id);
      }
    },
    go(at) {
      const to = Math.min(Math.max(at, 0), this.sorted.length - 1);
      if (to < 0) return;
      this.active = this.sorted[to];
      const grid = this.$refs.grid;
      if (to * HEIGHT < grid.scrollTop) grid.scrollTop = to * HEIGHT;
      const below = (to + 1) * HEIGHT - grid.clientHeight;
      if (below > grid.scrollTop) grid.scrollTop = below;
    },
    key(event) {
      if (event.target !== this.$refs.grid || event.altKey) return;
      const at = this.sorted.indexOf(this.active);
      const page = Math.max(1, Math.floor(this.high / HEIGHT) - 1);
      const moves = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: Infinity };
      if (event.key in moves) {
        this.go(moves[event.key]);
        if (event.shiftKey && this.active) this.choose([this.active], true);
      } else if (event.key === " " && this.active) {
        this.choose([this.active], !this.isOn(this.active));
      } else if (["Enter", "ArrowRight"].includes(event.key)) {
        this.open(this.active);
      } else if (["Backspace", "ArrowLeft"].includes(event.key)) {
        this.$emit("up");
      } else if (event.key === "a" && (event.ctrlKey || event.metaKey)) {
        this.chooseAll(!this.all);
      } else {
        return;
      }
      event.preventDefault();
    },
  },
};

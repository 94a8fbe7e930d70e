// One's own projects with their datasets, and screens, to choose one from. It shows what it is given and reports the
// id of what was chosen.
export default {
  template: `
    <div class="dw-tree">
      <label class="dw-tree-filter"><span class="material-icons" aria-hidden="true">search</span>
        <input type="search" v-model="words" placeholder="Find by name" :aria-label="'Find in: ' + label"></label>
      <ul ref="tree" class="dw-tree-nodes" role="tree" tabindex="0" :aria-label="label" @keydown="key" @focus="begin"
        :aria-activedescendant="active ? nodeId(active) : null">
        <template v-for="node in shown" :key="node.id">
          <li role="treeitem" :id="nodeId(node)" class="dw-tree-node" :aria-level="node.level" @click="click(node)"
            :aria-expanded="node.within ? isOpen(node) : null" :aria-selected="node.id === picked"
            :class="{ 'dw-tree-active': active?.id === node.id, 'dw-tree-picked': node.id === picked, 'dw-tree-deep': node.level > 1 }">
            <span class="material-icons" aria-hidden="true">{{ sign(node) }}</span>
            <span class="dw-tree-label">{{ node.label }}</span><span class="dw-tree-count">{{ node.count }}</span>
          </li>
        </template>
      </ul>
      <p v-if="!shown.length" class="dw-tree-none" role="status">{{ words ? "Nothing of that name." : none }}</p>
    </div>`,
  props: { label: String, nodes: Array, picked: String, none: String },
  emits: ["pick"],
  data: () => ({ words: "", opened: new Set(), active: null }),
  computed: {
    shown() {
      const wanted = this.words.trim().toLocaleLowerCase();
      const hit = (node) => node.label.toLocaleLowerCase().includes(wanted);
      const rows = [];
      for (const node of this.nodes) {
        const within = (node.within ?? []).filter((one) => hit(one) || hit(node));
        if (!hit(node) && !within.length) continue;
        rows.push({ ...node, level: 1 });
        if (wanted || this.opened.has(node.id)) rows.push(...within.map((one) => ({ ...one, level: 2, above: node.id })));
      }
      return rows;
    },
  },
  watch: {
    nodes: {
      immediate: true,
      handler(nodes) {
        for (const node of nodes) if (node.within?.some((one) => one.id === this.picked)) this.opened.add(node.id);
        if (nodes.length === 1) this.opened.add(nodes[0].id);
      },
    },
  },
  methods: {
    nodeId: (node) => `target-${node.above ?? ""}-${node.id}`.replaceAll(":", "-"),
    isOpen(node) {
      return !!this.words.trim() || this.opened.has(node.id);
    },
    sign(node) {
      if (node.id === this.picked) return "check_circle";
      return node.within ? (this.isOpen(node) ? "expand_more" : "chevron_right") : node.screen ? "grid_on" : "photo_library";
    },
    begin() {
      this.active = this.shown.find((node) => node.id === this.picked) ?? this.active ?? this.shown[0] ?? null;
    },
    turn(node, open) {
      open ? this.opened.add(node.id) : this.opened.delete(node.id);
    },
    click(node) {
      this.active = node;
      if (node.within) this.turn(node, !this.opened.has(node.id));
      else this.$emit("pick", node.id);
    },
    go(at) {
      this.active = this.shown[Math.min(Math.max(at, 0), this.shown.length - 1)] ?? null;
      if (this.active) this.$nextTick(() => document.getElementById(this.nodeId(this.active))?.scrollIntoView({ block: "nearest" }));
    },
    key(event) {
      const node = this.active;
      const at = this.shown.findIndex((one) => node && this.nodeId(one) === this.nodeId(node));
      const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: Infinity };
      if (event.key in moves) this.go(moves[event.key]);
      else if (["Enter", " "].includes(event.key) && node) this.click(node);
      else if (event.key === "ArrowRight" && node?.within) this.opened.has(node.id) ? this.go(at + 1) : this.turn(node, true);
      else if (event.key === "ArrowLeft" && node?.within) this.turn(node, false);
      else if (event.key === "ArrowLeft" && node?.above) this.go(this.shown.findIndex((one) => one.id === node.above));
      else return;
      event.preventDefault();
    },
  },
};

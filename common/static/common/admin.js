// What the admin's frame keeps in mind, for Alpine's build that evaluates no strings.
document.addEventListener("alpine:init", () => {
  // unfold's functions, by the names that its templates call them.
  Alpine.data("theme", (chosen) => theme(chosen));
  Alpine.data("searchForm", () => searchForm());

  // unfold's scroller names each of its regions alike.
  addEventListener("load", () => {
    const name = (area, label) => document.querySelector(`${area} .simplebar-content-wrapper`)?.setAttribute("aria-label", label);
    name("#nav-sidebar", "Menu");
    name("#changelist-form", "List");
  });

  Alpine.data("page", () => ({
    activeTab: "general",
    sidebarMobileOpen: false,
    sidebarDesktopOpen: localStorage.getItem("sidebarDesktopOpen") !== "0",
    // All that a form's address is made of.
    window: { location: { pathname: location.pathname, search: location.search } },
    toggleSidebar() {
      this.sidebarDesktopOpen = !this.sidebarDesktopOpen;
      localStorage.setItem("sidebarDesktopOpen", this.sidebarDesktopOpen ? "1" : "0");
    },
    toggleMobileSidebar() {
      this.sidebarMobileOpen = !this.sidebarMobileOpen;
    },
    closeMobileSidebar() {
      this.sidebarMobileOpen = false;
    },
  }));
});
